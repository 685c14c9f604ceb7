"""The post room: signs what the desk sends and hands it to every transport; lets in only what a siren has signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.messages import Command, Refused, ToService, decode_for_service, encode
from opencram.outputs.sirens.transport import Transport

OnSent = Callable[[Command, int], None]
"""Called after a command was handed to the transports, with the number of ways it went."""
OnHeard = Callable[[ToService, str], None]
"""Called after the desk took in a message, with the transport's name."""


class Post:
    """`tokens` are the sirens' secrets by id; `now_ns` tells the service's time."""

    def __init__(
        self,
        desk: Desk,
        tokens: Mapping[str, bytes],
        now_ns: Callable[[], int],
        on_sent: OnSent | None = None,
        on_heard: OnHeard | None = None,
    ) -> None:
        self.desk, self.tokens, self.now_ns = desk, tokens, now_ns
        self.transports: list[Transport] = []
        self._on_sent, self._on_heard = on_sent, on_heard

    def flush(self) -> None:
        """Send all that the desk has to send, on every transport."""
        sent = []
        for siren, message in self.desk.take():
            data = encode(message, self.tokens[siren])
            ways = sum(transport.send(siren, data) for transport in self.transports)
            if isinstance(message, Command):
                sent.append((message, ways))
        if self._on_sent is not None:  # after the last one has left
            for command, ways in sent:
                self._on_sent(command, ways)

    def received(self, siren: str, data: bytes, transport: str) -> bool:
        """Take in what came in the name of a siren; whether it was believed. What is not is counted."""
        token = self.tokens.get(siren)
        if token is None:
            self.desk.refuse("unknown siren")
            return False
        try:
            message = decode_for_service(data, token, siren)
        except Refused as refused:
            self.desk.refuse(refused.reason)
            return False
        self.desk.hear(message, self.now_ns())
        self.flush()
        if self._on_heard is not None:
            self._on_heard(message, transport)
        return True

    def lost(self, siren: str, transport: str) -> None:
        """A connection of `siren` ended, and no other is left on this transport."""
        self.desk.lost(siren)

    def tick(self) -> None:
        """Do what has fallen due, and send it."""
        self.desk.tick(self.now_ns())
        self.flush()

    def add(self, transports: Iterable[Transport]) -> None:
        """Further ways to the sirens."""
        self.transports += transports
