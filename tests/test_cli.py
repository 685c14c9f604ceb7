"""The command line keeps its contract: what is listed works, what is wrong is said in one sentence, and how it ends."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (
    *("run", "replay", "report", "study", "serve", "serve-sites", "siren", "alarm", "all-clear", "drill", "audit"),
    *("new-site", "check", "recover", "asterix", "coverage", "plan", "mqtt-passwords", "list", "warmup", "users"),
    *("tokens", "basemap"),
)


def opencram(*args: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opencram", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL, check=False)


def refused(*args: object, cwd: Path | None = None) -> str:
    """The one sentence that a command refused with; fails if it was not refused as the contract says."""
    done = opencram(*args, cwd=cwd)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    sentence = done.stderr.rstrip("\n")
    assert sentence
    assert "\n" not in sentence
    return sentence


def test_help_lists_every_command_with_what_it_does() -> None:
    done = opencram("--help")
    assert done.returncode == 0
    listed = re.findall(r"^│ ([a-z-]+)  +[A-Z]", done.stdout, re.MULTILINE)
    assert tuple(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_teaches_by_an_example(command: str) -> None:
    done = opencram(command, "--help")
    assert done.returncode == 0
    assert f"Example: opencram {command}" in done.stdout


def test_help_loads_nothing_heavy() -> None:
    """How soon it is there is measured by benchmarks/start.py: what else a machine does is no fault of ours."""
    command = [sys.executable, "-X", "importtime", "-m", "opencram", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in loaded
    heavy = {"numpy", "scipy", "numba", "pydantic", "msgspec", "pyarrow", "matplotlib", "shapely", "fastapi", "argon2"}
    assert loaded.isdisjoint(heavy)


def test_version_is_the_package_s() -> None:
    from opencram import __version__

    assert opencram("--version").stdout == f"opencram {__version__}\n"


def test_no_command_shows_the_help() -> None:
    done = opencram()
    assert done.returncode == 2
    assert "Usage" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["fly"], "No such command 'fly'"),
        (["lst"], "Did you mean 'list'"),
        (["run"], "Missing argument 'SCENARIO'"),
        (["run", "x", "--sed", "1"], "--seed"),
        (["run", "x", "--seed", "many"], "--seed"),
        (["run", "x", "--seed", "-1"], "--seed"),
        (["run", "x", "--lang", "de"], "--lang"),
        (["list", "rockets"], "rockets"),
        (["study", "x.yaml"], "--out"),
        (["study", "x.yaml", "--out", "y", "--workers", "0"], "--workers"),
        (["new-site", "camp", "--lat", "91", "--lon", "0"], "--lat"),
        (["new-site", "camp", "--lat", "north", "--lon", "0"], "--lat"),
        (["check"], "FILE"),
        (["coverage"], "Missing argument 'SITE'"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(args: list[str], said: str) -> None:
    assert said in refused(*args)


def test_with_json_what_a_library_prints_by_itself_goes_to_stderr() -> None:
    """Solvers written in C print a line of their own now and then."""
    code = (
        "import ctypes, sys; from opencram import cli; sys.argv = ['opencram', 'run', 'x', '--json']\n"
        "def app(standalone_mode):\n"
        "    ctypes.CDLL(None).puts(b'chatter'); ctypes.CDLL(None).fflush(None); print('{}')\n"
        "cli.app = app; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("{}\n", "chatter\n")
