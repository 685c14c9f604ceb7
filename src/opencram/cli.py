"""The command line: arguments in, one call, a table out. All work is done elsewhere and imported when it is needed."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from opencram import __version__
from opencram.drive.study.command import study
from opencram.errors import InputError, RunError
from opencram.planning.commands import coverage, plan
from opencram.serve import DEFAULT_HTTP
from opencram.serve.access.commands import audit, tokens, users
from opencram.serve.basemap_commands import basemap

app = typer.Typer(
    epilog="Begin with: opencram run baghdad-2020-11-17",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Language = Literal["en", "fr"]
Site = Annotated[str | None, typer.Option(metavar="SITE", help="A built-in site or a site's YAML file.")]
Out = Annotated[Path | None, typer.Option(metavar="DIR", help="The run folder to write; an earlier run is replaced.")]
Lang = Annotated[Language, typer.Option(help="The language of the report.")]
Json = Annotated[bool, typer.Option("--json", help="Print run.json on stdout, and nothing else.")]

ZoneId = Annotated[str, typer.Argument(metavar="ZONE", help="The zone's id.")]
Server = Annotated[str | None, typer.Option(metavar="URL", help="The service; the one on this machine when not given.")]
TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The operator's token; this machine's own when not given.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"opencram {__version__}")
        raise typer.Exit


@app.callback()
def opencram(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Radar plots in; tracks, impact points and zone warnings out. The defence is simulated, always."""


@app.command(epilog="Example: opencram run baghdad-2020-11-17 --seed 3 --out runs/third")
def run(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A built-in scenario or a scenario's YAML file.")],
    site: Site = None,
    out: Out = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Names the draw of all that is left to chance.")] = 0,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Simulate a scenario end to end: raid, radar, tracks, warnings, simulated defence, report.

    Without --out the run is written to runs/SCENARIO-seedN. The same seed gives the same decisions.
    """
    from opencram.drive.simulate import simulate
    from opencram.runfolder import run_folder
    from opencram.terminal import print_result, progress_line

    out = out or Path("runs") / f"{Path(scenario).stem}-seed{seed}"
    with run_folder(out, _files(scenario, site)) as folder, progress_line() as progress:
        result = simulate(scenario, site, folder, seed, lang, progress)
    print_result(result, as_json)


@app.command(epilog="Example: opencram replay runs/demo/recording.mcap --from 2020-11-17T17:30:05Z")
def replay(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help="A recording (.mcap, or a folder), plots (.csv, .parquet), ASTERIX.")
    ],
    site: Site = None,
    out: Out = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="T", help="Begin at this time (ISO 8601).")] = None,
    to: Annotated[str | None, typer.Option(metavar="T", help="End at this time (ISO 8601).")] = None,
    speed: Annotated[
        float | None, typer.Option(metavar="X", help="X times real time; as fast as it goes when not given.")
    ] = None,
    lang: Lang = "en",
    as_json: Json = False,
) -> None:
    """Play a recording, a table of plots or ASTERIX through the same pipeline.

    A recording carries its site and gives the decisions it gave when it was made; with --site it answers what another
    site would have done. Plots need --site. Without --out the run is written to runs/NAME-replay.
    """
    from opencram.drive.replay import replay as replay_input
    from opencram.runfolder import run_folder
    from opencram.terminal import print_result, progress_line

    if speed is not None and not speed > 0:
        raise InputError(f"--speed: found {speed:g}, expected a number above 0")
    if not source.exists():
        raise InputError(f"{source}: found no such file, expected a recording or plots")
    name = source.resolve().parent.name if source.name == "recording.mcap" else source.stem
    out = out or Path("runs") / f"{name}-replay"
    read = [str(path) for path in source.glob("*.mcap")] if source.is_dir() else [str(source)]
    with run_folder(out, _files(*read, site)) as folder, progress_line() as progress:
        result = replay_input(source, site, folder, from_, to, speed, lang, progress)
    print_result(result, as_json)


@app.command(epilog="Example: opencram report runs/demo --lang fr --facts facts.yaml")
def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="The folder of an earlier run, replay or study.")],
    lang: Lang = "en",
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Write report.pdf too (needs: pip install opencram[pdf]).")
    ] = False,
    facts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML with what no sensor knows: casualties, damage, claims.")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML with earlier incidents, added to the built-in ledger.")
    ] = None,
) -> None:
    """Write the report and the communiqués of a run again, with facts entered afterwards or in another language."""
    if (run_dir / "study.json").is_file():
        return _report_study(run_dir, facts or ledger, pdf, lang)
    from opencram.report.render import render_report

    if not (run_dir / "run.json").is_file():
        raise InputError(f"{run_dir}: found no run.json, expected the folder of a run")
    for path in render_report(run_dir, lang, facts, ledger, pdf):
        typer.echo(path)


def _report_study(folder: Path, entered: Path | None, pdf: bool, lang: str) -> None:
    from opencram.report.study_page import write_study

    if entered or pdf or lang != "en":
        raise InputError(f"{folder}: found a study, whose report is in English and takes no other options")
    for path in write_study(folder):
        typer.echo(path)


app.command(epilog="Example: opencram study examples/studies/small.yaml --out runs/study --runs 200")(study)


@app.command(epilog="Example: opencram serve baghdad-embassy --play baghdad-2020-11-17")
def serve(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A built-in site or a site's YAML file.")],
    http: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where to answer; sirens report at the port after it.")
    ] = DEFAULT_HTTP,
    mqtt: Annotated[str | None, typer.Option(metavar="URL", help="Reach sirens over this broker (MQTT 5) too.")] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Keep recordings and state here; a folder per site otherwise.")
    ] = None,
    play: Annotated[
        str | None, typer.Option(metavar="SCENARIO", help="Play this scenario in real time, at once: an exercise.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="N", help="Names the draw of what the play leaves to chance.")
    ] = 0,
    hooks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="YAML: what is told of warnings by HTTP or by a command.")
    ] = None,
    tak: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Show TAK the picture: udp:// or tcp://HOST:PORT; repeat.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer over TLS with this certificate (PEM, with its chain).")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key (PEM).")] = None,
    log_format: Annotated[Literal["text", "json"], typer.Option(help="How each line on stdout is written.")] = "text",
    asterix: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Listen here for radars' ASTERIX over UDP; repeat.")
    ] = None,
    burst_ms: Annotated[
        float, typer.Option(min=1.0, max=1000.0, metavar="MS", help="The longest wait for a burst of plots to end.")
    ] = 10.0,
    asterix_out: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Send tracks there as ASTERIX CAT062; repeat.")
    ] = None,
    asterix_code: Annotated[
        str, typer.Option(metavar="SAC/SIC", help="The codes by which receivers of tracks know this system.")
    ] = "0/0",
    roll_minutes: Annotated[
        float, typer.Option(min=0.1, max=1440.0, metavar="N", help="A new recording after so many minutes.")
    ] = 10.0,
    roll_mb: Annotated[
        int, typer.Option(min=1, max=100_000, metavar="N", help="A new recording after so many megabytes.")
    ] = 256,
    keep_days: Annotated[
        int, typer.Option(min=1, max=36_500, metavar="N", help="Recordings older than this are deleted.")
    ] = 30,
    reports: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Show the reports of the runs and studies in this folder.")
    ] = None,
) -> None:
    """Warn people: step in real time, command the sirens, answer operators, tell browsers and phones.

    It listens on the loopback alone, with no accounts, and says so; where others reach it, it asks for an admin's
    account (opencram users) and TLS. What --play plays is an exercise in every channel, and nothing can make it
    anything else; with --asterix too, its radars send real datagrams there. Without --play all is in earnest: what
    radars send to --asterix, operators' alarms and all-clears. Killed and started again, it goes on: the same zones
    alerted, the same commands, each siren sounding once.
    """
    from opencram.serve.rolls import Rolling
    from opencram.serve.start import Asked
    from opencram.serve.start import serve as run_service

    asked = Asked(site, http, mqtt, record, play, seed, hooks, tuple(tak or ()), tls_cert, tls_key, log_format)
    rolling = Rolling(60.0 * roll_minutes, roll_mb * 1_000_000, keep_days)
    asked = replace(asked, asterix=tuple(asterix or ()), burst_ms=burst_ms, rolling=rolling)
    run_service(replace(asked, asterix_out=tuple(asterix_out or ()), asterix_code=asterix_code, reports=reports))


@app.command("serve-sites", epilog="Example: opencram serve-sites sites.yaml")
def serve_sites(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML: the sites, each with its options of serve.")],
    log_format: Annotated[Literal["text", "json"], typer.Option(help="How each line on stdout is written.")] = "text",
) -> None:
    """Run a service for each of several sites, each a process of its own; what dies is started again at once."""
    from opencram.serve.sites import load_sites
    from opencram.serve.supervisor import serve_sites as run_services

    run_services(load_sites(file, log_format))


@app.command(epilog="Example: opencram siren siren-embassy-north --sound")
def siren(
    siren_id: Annotated[str, typer.Argument(metavar="ID", help="The siren's id in the site.")],
    server: Annotated[
        str, typer.Option(metavar="URL", help="The service: http://HOST:PORT, or its ws:// address.")
    ] = f"http://{DEFAULT_HTTP}",
    mqtt: Annotated[
        str | None, typer.Option(metavar="URL", help="Report to this broker (MQTT 5) in place of the service.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The siren's token; this machine's own when not given.")
    ] = None,
    sound: Annotated[bool, typer.Option("--sound", help="Be heard, with what this machine plays sound with.")] = False,
) -> None:
    """Play the part of a siren: take commands, answer them, beat, refuse what is forged, old or out of order.

    Each kind of alarm has its own sound, and exercises one that is like none of them. It comes back by itself when
    the service or the network was gone, and never sounds for what is over.
    """
    from opencram.outputs.sirens.siren import run_siren

    run_siren(siren_id, server, mqtt, token_file, sound)


@app.command(epilog="Example: opencram alarm base")
def alarm(zone: ZoneId, server: Server = None, token_file: TokenFile = None) -> None:
    """Sound the alarm for a zone by hand, whatever the radars see. The running service carries it out."""
    _operate("alarm", {"zone": zone}, server, token_file)


@app.command("all-clear", epilog="Example: opencram all-clear base")
def all_clear(zone: ZoneId, server: Server = None, token_file: TokenFile = None) -> None:
    """Give the all-clear for a zone by hand. It is refused while something in the air endangers the zone."""
    _operate("all-clear", {"zone": zone}, server, token_file)


@app.command(epilog="Example: opencram drill base camp --announce-s 120")
def drill(
    zones: Annotated[list[str] | None, typer.Argument(metavar="[ZONE]...", help="The zones in which to drill.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Drill in every zone of the site.")] = False,
    announce_s: Annotated[
        float, typer.Option(min=0, max=3600, metavar="N", help="Announce it so many seconds before it sounds.")
    ] = 60,
    last_s: Annotated[float, typer.Option(min=1, max=600, metavar="N", help="It sounds for so many seconds.")] = 30,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Hold a drill: announced first, with a sound of its own, ended by itself, and stopped by any real alert."""
    if every == bool(zones):
        raise InputError(f"ZONE: found {'zones and --all' if every else 'none'}, expected zones or --all")
    body = {"zones": zones or [], "all": every, "announce_s": announce_s, "last_s": last_s}
    _operate("drill", body, server, token_file)


def _operate(act: str, body: dict[str, object], server: str | None, token_file: Path | None) -> None:
    from opencram.serve.operator import ask

    typer.echo(ask(server or f"http://{DEFAULT_HTTP}", act, body, token_file))


app.add_typer(users, name="users")
app.add_typer(tokens, name="tokens")
app.add_typer(basemap, name="basemap")
app.command(epilog="Example: opencram audit baghdad-embassy --last 20")(audit)


@app.command("new-site", epilog="Example: opencram new-site camp-alpha --lat 36.24 --lon 43.96")
def new_site(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The site's name; its folder gets the same.")],
    lat: Annotated[float, typer.Option(min=-90, max=90, help="Latitude of the site's origin, degrees north.")],
    lon: Annotated[float, typer.Option(min=-180, max=180, help="Longitude of the site's origin, degrees east.")],
) -> None:
    """Write a whole commented site into the folder NAME: four zones, one radar, ready to run and to edit."""
    from opencram.newsite import write_new_site

    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise InputError(f"NAME: found '{name}', expected small letters, digits, - and _")
    for path in write_new_site(name, lat, lon, Path(name)):
        typer.echo(path)


@app.command(epilog="Example: opencram check my-site/site.yaml plots.csv")
def check(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Sites, scenarios, plots, run folders, recordings, alerts."),
    ],
) -> None:
    """Say of each file whether it can be used: 'ok', or the sentence that tells what is wrong and where."""
    from opencram.check import check_file

    bad = 0
    for path in files:
        try:
            what, *warnings = check_file(path).splitlines()
            typer.echo(f"{path}: ok, {what}")
            for warning in warnings:
                typer.echo(f"{path}: warning: {warning}", err=True)
        except InputError as error:
            bad += 1
            typer.echo(str(error), err=True)
    if bad:
        raise typer.Exit(2)


@app.command(epilog="Example: opencram recover runs/live/recording-20201117T180000-0000000001.mcap")
def recover(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording that was cut or damaged.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the whole one there; in FILE's place when not given.")
    ] = None,
) -> None:
    """Make a cut or damaged recording whole as far as it can be read, and say what was kept and what is lost.

    The old file stays beside it as FILE.damaged.
    """
    from opencram.record.recover import recover as make_whole

    found = make_whole(file, out)
    typer.echo(f"{found.out or file}: {found.sentence}")


@app.command(epilog="Example: opencram asterix capture.pcap | less")
def asterix(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A capture (.pcap, .pcapng), or data blocks (.ast, .bin, .raw).")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object on a line for each record.")] = False,
) -> None:
    """Say in words what is in an ASTERIX file: categories 015, 034, 048, 062 and 065, record by record."""
    from opencram.record.asterix import read_asterix
    from opencram.record.asterix_words import as_json_lines, as_text

    for line in (as_json_lines if as_json else as_text)(read_asterix(source)):
        typer.echo(line)


app.command(epilog="Example: opencram coverage baghdad-embassy --warning --out coverage")(coverage)
app.command(epilog="Example: opencram plan my-site/site.yaml --candidates plan.yaml --budget 400 --out plan")(plan)


@app.command("mqtt-passwords", epilog="Example: opencram mqtt-passwords my-site/site.yaml | sudo sh setup.sh DIR")
def mqtt_passwords(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A built-in site or a site's YAML file.")],
) -> None:
    """Print a line NAME:PASSWORD for the service and each siren, for deploy/mosquitto/setup.sh to make a broker of.

    Passwords are derived from this machine's tokens; a token that is not there yet is made.
    """
    from opencram.outputs.sirens.mqtt import password_lines
    from opencram.site import load_site

    for line in password_lines(siren.id for siren in load_site(site).sirens):
        typer.echo(line)


@app.command("list", epilog="Example: opencram list scenarios")
def list_names(
    what: Annotated[
        Literal["scenarios", "sites", "threats"],
        typer.Argument(metavar="scenarios|sites|threats", help="What to list."),
    ],
) -> None:
    """List the scenarios, sites or threats that are built in."""
    from opencram.listing import listing
    from opencram.terminal import print_rows

    print_rows(what.capitalize(), *listing(what))


@app.command(epilog="Example: opencram warmup")
def warmup() -> None:
    """Compile the numerical kernels now, so that the first run does not wait for them."""
    from opencram.physics.kernel import warmup as compile_kernels

    compile_kernels()
    typer.echo("The kernels are compiled; the first run starts at once.")


def _files(*names: str | None) -> list[Path]:
    """The arguments that are files, which a run folder must not replace."""
    return [Path(name) for name in names if name and Path(name).exists()]


@contextmanager
def _faults_as_status() -> Iterator[None]:
    """Turn the faults a user can mend into one sentence on stderr and the exit status of the contract."""
    try:
        yield
    except typer.TyperException as error:
        _fail_usage(error)
    except InputError as error:
        _fail(str(error), 2)
    except RunError as error:
        _fail(str(error), 1)
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail_usage(error: typer.TyperException) -> None:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "opencram"
    if sentence := error.format_message():
        _fail(f"{sentence.rstrip('.')} (see {command} --help)", 2)
    sys.exit(2)  # no command was given: the help has been shown


def _fail(sentence: str, status: int) -> None:
    sys.stderr.write(f"opencram: {sentence.rstrip()}\n")
    sys.exit(status)


def _keep_stdout() -> None:
    """From here on stdout is for what Python prints: a library's own lines, printed in C, go to stderr."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    sys.stdout = os.fdopen(ours, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)


def main() -> None:
    """The command `opencram`; ends with 0 done, 1 the run failed, 2 bad arguments or input, 130 interrupted."""
    if "--json" in sys.argv:
        _keep_stdout()
    with _faults_as_status():
        status = app(standalone_mode=False)
    if status == 130:
        _fail("interrupted", 130)
    sys.exit(status or 0)
