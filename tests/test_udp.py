"""Radars' datagrams over real sockets: whose, when, how many, and what a flood cannot do."""

import asyncio
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from asterix_site import at, heard, rows, site
from opencram.asterix.plots import RadarsState, datagrams_to_rows
from opencram.asterix.write import encode_plots
from opencram.errors import InputError
from opencram.serve import udp
from opencram.serve.udp import (
    DROPPING_NS,
    MAX_AGE_NS,
    MAX_SENDERS,
    MAX_STRANGE_OCTETS,
    OTHERS,
    Endpoint,
    Receiver,
    Transmitter,
    endpoint,
)
from opencram.tables import Datagram

LOCAL = Endpoint("127.0.0.1", 0)
FOR_EVER_NS = 2**62


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; five seconds are for a machine that is busy."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come within 5 s")


def with_receiver(act: Callable[[Receiver, Transmitter], Awaitable[None]], **options: int) -> None:
    async def run() -> None:
        receiver = Receiver(time.time_ns, **options)
        port = receiver.listen(LOCAL)
        transmitter = Transmitter(Endpoint("127.0.0.1", port))
        try:
            await act(receiver, transmitter)
        finally:
            receiver.close()
            transmitter.close()

    asyncio.run(run())


def test_plots_arrive_as_they_were_sent() -> None:
    async def act(receiver: Receiver, transmitter: Transmitter) -> None:
        receiver.know(["127.0.0.1"])
        plots = rows(0.0, 90, scan_end=True)
        sent = encode_plots(plots, 1, 1, simulated=False)
        transmitter.send(sent)
        await until(lambda: receiver.senders.get("127.0.0.1") is not None and receiver.senders["127.0.0.1"].taken == 3)
        taken = receiver.take(FOR_EVER_NS)
        assert [d.data for d in taken] == sent
        assert {d.address for d in taken} == {"127.0.0.1"}
        inbox = [heard(d.data, at(0.0) + k) for k, d in enumerate(taken)]
        found, refused, _ = datagrams_to_rows(RadarsState(), inbox, at(1.0), site())
        assert not refused
        assert [r for f in found for r in f.columns["range_m"]] == pytest.approx(plots.columns["range_m"])
        assert found[-1].scan_end
        assert receiver.take(FOR_EVER_NS) == []

    with_receiver(act)


def test_a_busy_loop_does_not_make_plots_late() -> None:
    """The loop is blocked for 200 ms: the time of reception is the kernel's, and datagrams keep their distance."""

    async def act(receiver: Receiver, transmitter: Transmitter) -> None:
        began_ns = time.time_ns()
        transmitter.send([b"first"])
        time.sleep(0.2)
        transmitter.send([b"second"])
        await until(lambda: "127.0.0.1" in receiver.senders and receiver.senders["127.0.0.1"].taken == 2)
        first, second = receiver.take(FOR_EVER_NS)
        assert 0 <= first.received_ns - began_ns < 150_000_000
        assert second.received_ns - first.received_ns > 150_000_000

    with_receiver(act)


def test_only_what_came_by_then_is_taken() -> None:
    receiver = Receiver(lambda: 200)
    receiver._add("10.0.0.1", b"a", 100)
    receiver._add("10.0.0.1", b"b", 90)
    receiver._add("10.0.0.1", b"c", 200)
    assert receiver.take(50) == []
    assert [(d.data, d.received_ns) for d in receiver.take(150)] == [(b"a", 100), (b"b", 101)]
    assert [d.data for d in receiver.take(200)] == [b"c"]


def test_empty_and_oversize_datagrams_are_counted() -> None:
    async def act(receiver: Receiver, transmitter: Transmitter) -> None:
        transmitter.send([b"", b"x" * 1_000])
        await until(lambda: "127.0.0.1" in receiver.senders and receiver.senders["127.0.0.1"].taken == 1)
        assert receiver.counts() == {"127.0.0.1: cut or empty": 1}
        transmitter.send([b"x" * 70_000])
        assert transmitter.dropped == 1

    with_receiver(act)


def test_a_flood_of_strangers_takes_nothing_from_a_radar() -> None:
    receiver = Receiver(lambda: 20_000)
    receiver.know(["10.0.0.1"])
    for k in range(20_000):
        receiver._add(f"10.9.{k // 250}.{k % 250}", b"x" * 500, k)
        if k % 100 == 0:
            receiver._add("10.0.0.1", b"plots", k)
    taken = receiver.take(FOR_EVER_NS)
    assert sum(d.address == "10.0.0.1" for d in taken) == 200
    assert sum(len(d.data) for d in taken if d.address != "10.0.0.1") <= MAX_STRANGE_OCTETS
    assert len(receiver.senders) <= MAX_SENDERS + 1
    assert receiver.senders[OTHERS].dropped > 15_000
    receiver._add("10.77.0.1", b"again", 30_000)
    assert len(receiver.take(FOR_EVER_NS)) == 1


def test_one_radar_that_floods_leaves_room_for_the_others_and_keeps_what_is_newest() -> None:
    receiver = Receiver(lambda: 1_000, max_waiting=10)
    receiver.know(["10.0.0.1", "10.0.0.2"])
    receiver._add("10.0.0.2", b"y", 1)
    for k in range(100):
        receiver._add("10.0.0.1", f"{k}".encode(), k + 2)
    assert [d.data for d in receiver.take(FOR_EVER_NS)] == [b"y", *(f"{k}".encode() for k in range(90, 100))]
    assert receiver.counts() == {"10.0.0.1: dropped": 90}
    assert receiver.fault == "datagrams are dropped, so many so far: 10.0.0.1 90"


def test_what_waits_is_bounded_in_octets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp, "MAX_OCTETS_WAITING", 1_000)
    receiver = Receiver(lambda: 1_000)
    receiver.know(["10.0.0.1", "10.0.0.2"])
    receiver._add("10.0.0.2", b"y" * 100, 1)
    for k in range(50):
        receiver._add("10.0.0.1", b"x" * 100, k + 2)
    assert [d.data[:1] for d in receiver.take(FOR_EVER_NS)] == [b"y", *[b"x"] * 9]
    assert receiver.counts() == {"10.0.0.1: dropped": 41}


def test_what_waited_too_long_is_dropped_and_told_for_a_while() -> None:
    now = [5_000_000_000]
    receiver = Receiver(lambda: now[0])
    receiver.know(["10.0.0.1"])
    assert receiver.fault == ""
    receiver._add("10.0.0.1", b"old", now[0] - MAX_AGE_NS - 1)
    receiver._add("10.0.0.1", b"new", now[0] - MAX_AGE_NS)
    assert [d.data for d in receiver.take(FOR_EVER_NS)] == [b"new"]
    assert receiver.counts() == {"10.0.0.1: too old": 1}
    assert "10.0.0.1 1" in receiver.fault
    now[0] += DROPPING_NS + 1
    assert receiver.fault == ""


def test_what_the_kernel_could_not_keep_is_counted() -> None:
    """Nobody reads while more comes than the socket's buffer holds."""

    async def act(receiver: Receiver, transmitter: Transmitter) -> None:
        receiver.know(["127.0.0.1"])
        (sock,) = receiver._sockets
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        transmitter.send([b"x" * 1_000] * 500)
        await asyncio.sleep(0.05)
        transmitter.send([b"one more"])
        await until(lambda: receiver.counts().get("not read in time", 0) > 0)
        assert receiver.counts()["not read in time"] == 501 - receiver.senders["127.0.0.1"].taken
        assert "not read in time" in receiver.fault

    with_receiver(act)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8600", Endpoint("127.0.0.1", 8600)),
        ("localhost:8600", Endpoint("127.0.0.1", 8600)),
        ("[::1]:8600", Endpoint("::1", 8600)),
        ("239.1.2.3:8600@192.168.1.5", Endpoint("239.1.2.3", 8600, "192.168.1.5")),
        ("[ff02::1]:8600@eth1", Endpoint("ff02::1", 8600, "eth1")),
    ],
)
def test_endpoints(text: str, found: Endpoint) -> None:
    assert endpoint(text) == found
    assert found.multicast == (found.interface != "")


@pytest.mark.parametrize(
    "text", ["", "8600", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:65536", "300.0.0.1:86", "[zz]:86", "a.b:86"]
)
def test_what_is_no_endpoint_is_told(text: str) -> None:
    with pytest.raises(InputError, match=r"expected"):
        endpoint(text)


def test_a_port_that_is_taken_is_told() -> None:
    async def act() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            with pytest.raises(InputError, match="in use', expected to listen there"):
                Receiver(time.time_ns).listen(Endpoint("127.0.0.1", other.getsockname()[1]))

    asyncio.run(act())


MULTICAST = textwrap.dedent(
    """
    import asyncio, subprocess, sys, time
    from opencram.serve.udp import Receiver, Transmitter, endpoint
    for line in (
        "link add one type veth peer name two",
        "link set one up",
        "link set two up",
        "addr add 10.77.0.1/24 dev one",
        "addr add fe80::77/64 dev one nodad",
    ):
        subprocess.run(["ip", *line.split()], check=True)

    async def main():
        for text in ("239.77.1.2:8600@10.77.0.1", "239.77.1.3:8601@one", "[ff02::77]:8602@one"):
            at = endpoint(text)
            receiver, transmitter = Receiver(time.time_ns), Transmitter(at)
            receiver.listen(at)
            transmitter.send([b"plots"])
            for _ in range(500):
                if taken := receiver.take(2**62):
                    break
                await asyncio.sleep(0.01)
            print(text, taken[0].data, taken[0].address)
            receiver.close()
            transmitter.close()

    asyncio.run(main())
    """
)


def test_multicast_groups_are_joined_in_a_network_of_its_own() -> None:
    """By the interface's address and by its name, IPv4 and IPv6; nothing leaves the namespace."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("unshare and ip are not here")
    if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user may not make a network namespace")
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", MULTICAST],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(root / "src"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "239.77.1.2:8600@10.77.0.1 b'plots' 10.77.0.1",
        "239.77.1.3:8601@one b'plots' 10.77.0.1",
    ]
    assert lines[2] == "[ff02::77]:8602@one b'plots' fe80::77"


def test_datagrams_say_which_targets_are_taken() -> None:
    receiver = Receiver(lambda: 2, simulated=True)
    receiver._add("10.0.0.1", b"a", 1)
    assert receiver.take(1) == [Datagram(received_ns=1, address="10.0.0.1", data=b"a", simulated=True)]
