"""A running Mosquitto with the configuration of `deploy/`, for tests; they are skipped where it is not installed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from opencram.outputs.sirens.connection import Broker
from opencram.outputs.sirens.mqtt import broker
from peers.mosquitto import PROGRAM, Mosquitto, made_up, token_of

__all__ = ["Mosquitto", "as_", "mosquitto", "needs_mosquitto", "others_client", "token_of"]

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="needs Mosquitto (on Debian: apt install mosquitto)")


@contextmanager
def mosquitto(*names: str, days: int = 30, address: str = "127.0.0.1") -> Iterator[Mosquitto]:
    """A running broker; not below pytest's own folder, which the broker's own user may not enter."""
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        made = Mosquitto(Path(folder), made_up(names), days, address)
        made.start()
        try:
            yield made
        finally:
            made.kill()


def as_(name: str, at: Mosquitto) -> Broker:
    """The broker, to be reached as this siren or as the service."""
    return broker(at.url, name, token_of(name), at.folder)


def others_client(at: Broker, **more: Any) -> aiomqtt.Client:
    """A client that is not ours, with the same name and password."""
    usual = {"username": at.user, "password": at.password, "identifier": at.user, "tls_context": at.tls, "timeout": 5.0}
    return aiomqtt.Client(at.host, at.port, **{**usual, "protocol": aiomqtt.ProtocolVersion.V5, **more})
