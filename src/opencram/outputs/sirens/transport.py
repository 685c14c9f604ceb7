"""What carries messages between the service and its sirens: WebSocket, MQTT, or a test's list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Received = Callable[[str, bytes, str], object]
"""Called in the event loop with the id of the siren that a message says it is from (as the connection or the topic
names it, not yet believed), its bytes, and the transport's name."""

Lost = Callable[[str, str], object]
"""Called in the event loop with a siren's id and the transport's name when a connection to it has ended."""


class Transport(Protocol):
    """One way to the sirens. Several may reach the same siren: it executes a command once by its id."""

    @property
    def name(self) -> str:
        """Such as 'websocket' or 'mqtt', for health and logs."""
        ...

    def send(self, siren_id: str, data: bytes) -> bool:
        """Hand a message over to the operating system at once; False where the siren is not reached this way now.

        Never waits and never raises: what cannot be sent is counted by the transport, and the desk sends it again.
        """
        ...
