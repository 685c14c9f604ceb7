"""A broker with the configuration of deploy/, and the service's side of it, for the tests of sirens over MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import aiomqtt
import pytest

from mosquitto import Mosquitto, mosquitto
from opencram.outputs.sirens.connection import Broker
from opencram.outputs.sirens.mqtt import MqttSirens

SIRENS = ("north", "south")


@pytest.fixture(scope="module")
def running() -> Iterator[Mosquitto]:
    with mosquitto(*SIRENS) as made:
        yield made


@dataclasses.dataclass
class Service:
    """The service's side, and all that it was told."""

    sirens: MqttSirens
    received: list[tuple[str, bytes]]
    lost: list[str]


@contextlib.asynccontextmanager
async def service(at: Broker) -> AsyncIterator[Service]:
    received: list[tuple[str, bytes]] = []
    lost: list[str] = []
    made = MqttSirens(at, SIRENS, lambda siren, data, _: received.append((siren, data)), lambda s, _: lost.append(s))
    task = asyncio.create_task(made.run())
    try:
        yield Service(made, received, lost)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(true: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until something is so; fail if it is not within this time."""
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "not so within the time"
        await asyncio.sleep(0.01)


async def heard(client: aiomqtt.Client, for_s: float = 0.3) -> list[tuple[str, bytes]]:
    """What comes in within this time."""
    messages: list[tuple[str, bytes]] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(for_s):
            async for message in client.messages:
                messages.append((message.topic.value, bytes(message.payload)))
    return messages


@pytest.fixture
def own() -> Iterator[Mosquitto]:
    """A broker for one test, which may stop or kill it."""
    with mosquitto(*SIRENS) as made:
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))
