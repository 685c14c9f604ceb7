"""The figures of the service for Prometheus, in its text format (version 0.0.4), written by hand: it is lines of text.

All of them are counted or measured elsewhere; of what the pipeline says, the newest picture is what is known here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate

from opencram.serve.access.audit import Audit
from opencram.serve.feed import Feed
from opencram.serve.link import Picture, RecordingSeen
from opencram.serve.stopwatch import BOUNDS_S

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SIREN_STATES = ("ok", "sounding", "fault", "silent", "never")

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


def metrics(feed: Feed, audit: Audit) -> str:
    """All figures as text."""
    picture, now_ns = feed.picture or Picture(now_ns=0), feed.now_ns()
    lines = [
        *_family("info", "gauge", "Who this is.", [(_who(feed), 1)]),
        *_family("up", "gauge", "1 while the pipeline works, 0 when it is stalled.", [({}, not feed.stalled)]),
        *_family("picture_age_seconds", "gauge", "Since the pipeline was heard of.", [({}, feed.frame_age_s)]),
        *_stages(picture),
        *_family("queue_length", "gauge", "What waits, by queue.", _by("queue", picture.queues)),
        *_family("refused_total", "counter", "What was refused or dropped.", [
            *(({"by": "pipeline", "reason": reason}, count) for reason, count in picture.counts.items()),
            *(({"by": "web", "reason": reason}, count) for reason, count in feed.counts.items()),
        ]),
        *_sensors(picture, now_ns),
        *_sirens(picture, now_ns),
        *_family("tracks", "gauge", "Confirmed tracks shown.", [({}, len(picture.tracks))]),
        *_family("zones", "gauge", "Zones by level.", _by("state", feed.levels())),
        *_family("notes", "gauge", "What else is degraded, sentences in /healthz.", [({}, len(picture.notes))]),
        *_recording(picture.recording),
        *_family("clients", "gauge", "Who looks at the feed.", [({}, len(feed.clients))]),
        *_family("audit_total", "counter", "What was done or refused.", _audited(audit)),
        *_family("audit_broken", "gauge", "1 while it cannot be written down.", [({}, bool(audit.fault))]),
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


def _who(feed: Feed) -> Labels:
    hello = feed.hello
    return {"version": hello.version, "site": hello.site, "provenance": hello.provenance, "run": hello.run}


def _by(label: str, values: Mapping[str, float]) -> list[Sample]:
    return [({label: name}, value) for name, value in values.items()]


def _audited(audit: Audit) -> list[Sample]:
    found: list[Sample] = []
    for key, count in audit.counts.items():
        what, _, result = key.rpartition(" ")
        found.append(({"what": what, "result": result}, float(count)))
    return found


def _stages(picture: Picture) -> Iterable[str]:
    name = "opencram_tick_seconds"
    yield f"# HELP {name} How long each part of a tick took; late: how long after its time it began."
    yield f"# TYPE {name} histogram"
    for times in picture.stages:
        ends = [*map(str, BOUNDS_S), "+Inf"]
        for end, count in zip(ends, accumulate(times.counts), strict=True):
            yield _line("tick_seconds_bucket", {"stage": times.stage, "le": end}, count)
        yield _line("tick_seconds_sum", {"stage": times.stage}, times.sum_s)
        yield _line("tick_seconds_count", {"stage": times.stage}, sum(times.counts))


def _sensors(picture: Picture, now_ns: int) -> Iterable[str]:
    sensors = picture.sensors
    well = [({"sensor": s.id}, s.state == "ok") for s in sensors]
    ages = [({"sensor": s.id}, (now_ns - s.plot_ns) * 1e-9) for s in sensors if s.plot_ns]
    clocks = [({"sensor": s.id}, s.clock_s) for s in sensors if s.clock_s is not None]
    yield from _family("sensor_ok", "gauge", "1 where nothing is wrong with a sensor.", well)
    yield from _family("sensor_plot_age_seconds", "gauge", "Since a sensor's newest plot.", ages)
    yield from _family("sensor_clock_offset_seconds", "gauge", "How far its clock is found ahead.", clocks)


def _sirens(picture: Picture, now_ns: int) -> Iterable[str]:
    states = [({"siren": s.id, "state": state}, s.state == state) for s in picture.sirens for state in SIREN_STATES]
    beats = [({"siren": s.id}, (now_ns - s.beat_ns) * 1e-9) for s in picture.sirens if s.beat_ns]
    yield from _family("siren_state", "gauge", "1 for the state in which a siren is.", states)
    yield from _family("siren_beat_age_seconds", "gauge", "Since a siren's last heartbeat.", beats)


def _recording(seen: RecordingSeen | None) -> Iterable[str]:
    if seen is None:
        return
    yield from _family("recording_written", "gauge", "1 while all is recorded.", [({}, seen.writing)])
    yield from _family("recording_bytes", "gauge", "Of the recording being written.", [({}, seen.bytes)])
    yield from _family("recordings_kept", "gauge", "Recordings before it.", [({}, seen.files)])
    yield from _family("recordings_kept_bytes", "gauge", "Their bytes.", [({}, seen.kept_bytes)])
    yield from _family("recordings_deleted_total", "counter", "Deleted for their age.", [({}, seen.deleted)])


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> list[str]:
    found = [_line(name, labels, value) for labels, value in samples]
    return [f"# HELP opencram_{name} {text}", f"# TYPE opencram_{name} {kind}", *found]


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"opencram_{name}{{{inside}}} {float(value):.9g}" if inside else f"opencram_{name} {float(value):.9g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
