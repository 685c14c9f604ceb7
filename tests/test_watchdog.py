"""A pipeline that is stalled, killed or lost: the operator is told, and sirens say so where the policy has it."""

from __future__ import annotations

import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Beat, Command, Pulse, decode_for_siren, encode
from opencram.outputs.sirens.runner import FAULT_AGAIN_NS, Mute, Runner
from opencram.outputs.source import Provenance
from opencram.steadyclock import SteadyClock
from services import Village, write_site
from small_site import SECOND_NS, START_NS, position, site_of, square

TOKEN = b"the token of the siren in this test"


def fault_site(folder: Path, seconds: float) -> Path:
    """A site whose sirens say that the system is out of order."""
    path = write_site(folder)
    path.write_text(path.read_text().replace("policy: {", f"policy: {{system_fault_s: {seconds}, "))
    return path


def status_of(village: Village) -> int:
    try:
        return village.text("/healthz")[0]
    except urllib.error.HTTPError as error:
        return error.code


def test_a_stalled_pipeline_is_told_and_heard_and_so_is_one_that_is_killed(tmp_path: Path) -> None:
    with Village(tmp_path, fault_site(tmp_path, 4.0)) as village:
        village.start_service()
        village.start_siren("north")
        village.until(lambda: "connected" in village.output("north"))
        village.until(lambda: village.get("/healthz")["sirens"][0]["state"] == "ok")
        assert status_of(village) == 200
        village.processes["service"].send_signal(signal.SIGSTOP)
        village.until(lambda: status_of(village) == 503)
        assert "opencram_up 0\n" in village.text("/metrics")[1]
        village.until(lambda: village.output("north").count("SYSTEM FAULT") == 1, 30.0)
        village.processes["service"].send_signal(signal.SIGCONT)
        village.until(lambda: status_of(village) == 200)
        village.until(lambda: "restored" in village.output("north"))
        village.kill("service")
        village.until(lambda: village.output("north").count("SYSTEM FAULT") == 2, 30.0)
        assert "Sounded for: never." in village.end("north"), "no alarm comes of it"


# ---- the rule, by a clock of its own --------------------------------------------------------------------------------


class Heard(Mute):
    """A loudspeaker that remembers."""

    def __init__(self) -> None:
        self.played: list[str] = []

    def play(self, name: str, repeat: bool) -> None:
        self.played.append(name)


class Siren:
    """A siren's runner that a desk answers, by a clock that is set by hand."""

    def __init__(self, provenance: Provenance = Provenance.LIVE, **policy: Any) -> None:
        siren = {"id": "north", "position": position(0.0, 0.0), "zones": ["base"]}
        site = site_of([square("base", 0.0, 0.0)], sirens=[siren], policy=policy)
        self.now_ns = START_NS
        clock = SteadyClock(wall_ns=lambda: START_NS, monotonic_ns=lambda: self.now_ns)
        self.desk, self.speaker = Desk(site, provenance), Heard()
        self.runner = Runner(Device("north"), TOKEN, clock, self.speaker)

    def beats(self) -> Pulse:
        """It beats, and is answered."""
        body = self.runner.beat().split(b" ", 1)[1]
        self.desk.hear(msgspec.json.decode(body, type=Beat), self.now_ns)
        ((_, pulse),) = self.desk.take()
        data = encode(pulse, TOKEN)
        self.runner.received(data)
        answer = decode_for_siren(data, TOKEN, "north")
        assert isinstance(answer, Pulse)
        return answer

    def after(self, seconds: float) -> list[str]:
        """What it has played by then."""
        self.now_ns += round(seconds * SECOND_NS)
        self.runner.tick()
        return self.speaker.played


def test_a_fault_is_said_after_the_policys_time_and_again_and_is_over_with_a_pulse() -> None:
    siren = Siren(system_fault_s=5.0)
    assert siren.after(100.0) == [], "it does not know of a service, nor what its policy is"
    siren.beats()
    assert siren.after(4.9) == []
    assert siren.after(0.2) == ["system-fault"]
    assert siren.after(60.0) == ["system-fault"]
    assert siren.after(FAULT_AGAIN_NS / SECOND_NS) == ["system-fault"] * 2
    siren.beats()
    assert siren.after(1.0) == ["system-fault"] * 2
    assert siren.after(5.0) == ["system-fault"] * 3


@pytest.mark.parametrize(
    ("provenance", "policy"),
    [
        (Provenance.LIVE, {}),
        (Provenance.SIMULATION, {"system_fault_s": 5.0}),
        (Provenance.REPLAY, {"system_fault_s": 5.0}),
    ],
)
def test_nothing_is_said_unless_the_policy_has_it_so_and_in_earnest(provenance: Provenance, policy: Any) -> None:
    siren = Siren(provenance, **policy)
    assert siren.beats().fault_s is None
    assert siren.after(3_600.0) == []


def test_no_alarm_gives_way_to_a_fault() -> None:
    siren = Siren(system_fault_s=5.0)
    siren.beats()
    command = Command(
        siren="north", id="base/north/1/0", seq=1, zone="base", kind="rocket", status="Actual",
        issued_ns=siren.now_ns, expires_ns=siren.now_ns + 60 * SECOND_NS,
    )  # fmt: skip
    siren.runner.received(encode(command, TOKEN))
    assert siren.after(10.0) == ["rocket"]


def test_a_pulse_without_a_policy_has_no_key_that_an_older_device_does_not_know() -> None:
    plain, told = Siren().beats(), Siren(system_fault_s=5.0).beats()
    assert b"fault_s" not in encode(plain, TOKEN)
    assert b'"fault_s":5.0' in encode(told, TOKEN)
