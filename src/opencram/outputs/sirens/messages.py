"""What the service and a siren say to each other, the same over every transport, and why some of it is refused.

On the wire a message is 64 hexadecimal digits, a space and a JSON object. The digits are the HMAC-SHA256 (RFC 2104)
of the object's bytes under the siren's own token, so that nothing need be trusted of what carries it: a broker, a
network or another siren can neither make a command nor an answer. The token itself is never sent.

Against repetition: a command is executed once by its `id`, never after `expires_ns`, and never when a later `seq` of
its zone has been executed; an acknowledgement counts only for a command that waits for it; a beat only when it is newer
than the last.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Literal, TypeVar, get_args

import msgspec

MAX_BYTES = 2_048
"""No message of ours is half as long; longer ones are refused unread."""
MIN_TOKEN_BYTES = 16
_MAC_BYTES = 64

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
"""An id of a siren or a zone."""
CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
TimeNs = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Words = Annotated[str, msgspec.Meta(max_length=200)]

Status = Literal["Actual", "Exercise", "Test"]
"""As in CAP 1.2. What is no `Actual` never sounds like one."""
Kind = Literal["rocket", "drone", "observed", "all-clear", "cancel", "drill", "drill-notice", "test"]
Stage = Literal["received", "sounding", "done", "refused"]
Refusal = Literal[
    "malformed", "too long", "forged", "expired", "replayed", "superseded", "busy", "not for me", "unexpected"
]

ALARMS: tuple[Kind, ...] = ("rocket", "observed", "drone", "drill", "test")
"""Kinds that sound until they are ended, the gravest first."""
ENDS: tuple[Kind, ...] = ("all-clear", "cancel")
"""Kinds that end a zone's alarm."""
REFUSALS: tuple[Refusal, ...] = get_args(Refusal)


class Refused(ValueError):
    """A message that is not acted on; `reason` is one of REFUSALS, the text says what was found."""

    def __init__(self, reason: Refusal, found: str = "") -> None:
        super().__init__(f"{reason}: {found}" if found else reason)
        self.reason = reason


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="is"):
    siren: Name
    """Whom it is for, or whom it is from."""


class Command(_Message, frozen=True, kw_only=True, tag="command"):
    """Service to siren: sound for a zone, or stop."""

    id: CommandId
    """The same zone, siren, warning and renewal give the same id, whatever is restarted in between."""
    seq: Count
    """Rises with every new command of the service, not when one is sent again."""
    zone: Name
    kind: Kind
    status: Status
    issued_ns: TimeNs
    expires_ns: TimeNs
    """From here on it is never begun, and what it began ends; ns UTC by the service's clock."""
    impact_ns: TimeNs | None = None
    """When the first impact is due, where that is known."""

    def __post_init__(self) -> None:
        if self.expires_ns <= self.issued_ns:
            raise ValueError("found an expiry before the issue, expected it after")
        if self.kind in ("drill", "drill-notice") and self.status != "Exercise":
            raise ValueError(f"found a {self.kind} of status {self.status}, expected Exercise")
        if self.kind == "test" and self.status != "Test":
            raise ValueError(f"found a test of status {self.status}, expected Test")


class Ack(_Message, frozen=True, kw_only=True, tag="ack"):
    """Siren to service: how far a command has come."""

    id: CommandId
    seq: Count
    stage: Stage
    time_ns: TimeNs
    """By the siren's clock, for the record; the service times answers by its own."""
    reason: Words = ""
    """Why it was refused (one of REFUSALS), or what ended it."""
    newest_seq: Count = 0
    """Of a refusal: the latest `seq` that the siren has executed for the zone."""


class Beat(_Message, frozen=True, kw_only=True, tag="beat"):
    """Siren to service: it lives, and what it is doing. Sent at once on connecting, then every few seconds."""

    time_ns: TimeNs
    """By the siren's clock; each beat's is later than the last one's, which makes it a number used once."""
    sounding: CommandId | None = None
    """The command that it is executing."""
    tested_ns: TimeNs | None = None
    """When its last self-test was."""
    tested_ok: bool | None = None
    fault: Words = ""
    """What it knows to be wrong with itself; empty: nothing."""


class Pulse(_Message, frozen=True, kw_only=True, omit_defaults=True, tag="pulse"):
    """Service to siren, in answer to a beat: the service lives, and its time, by which expiry is judged."""

    time_ns: TimeNs
    beat_ns: TimeNs
    """The `time_ns` of the beat that it answers: an old pulse sets no clock."""
    fault_s: Annotated[float, msgspec.Meta(gt=0.0)] | None = None
    """If no pulse comes for so long, the siren is to say that the system is out of order; left out: only to show it."""


class Bye(_Message, frozen=True, kw_only=True, tag="bye"):
    """Siren's transport to service: its connection ended (an MQTT last will, stored when it connected)."""

    time_ns: TimeNs
    """When the connection that has ended was made, as its first beat told."""


Message = Command | Ack | Beat | Pulse | Bye
ToSiren = Command | Pulse
ToService = Ack | Beat | Bye
M = TypeVar("M", ToSiren, ToService)

_encoder = msgspec.json.Encoder()
_to_siren: msgspec.json.Decoder[ToSiren] = msgspec.json.Decoder(ToSiren)
_to_service: msgspec.json.Decoder[ToService] = msgspec.json.Decoder(ToService)


def encode(message: Message, token: bytes) -> bytes:
    """A message as it goes on the wire, signed with the siren's token."""
    body = _encoder.encode(message)
    return _mac(body, token) + b" " + body


def decode_for_siren(data: bytes, token: bytes, siren: str) -> ToSiren:
    """What the service says to `siren`; Refused says why it is none."""
    return _mine(_decoded(_to_siren, data, token), siren)


def decode_for_service(data: bytes, token: bytes, siren: str) -> ToService:
    """What `siren` says to the service; Refused says why it is none."""
    return _mine(_decoded(_to_service, data, token), siren)


def _decoded(decoder: msgspec.json.Decoder[M], data: bytes, token: bytes) -> M:
    """The message, once its signature is known to be right: nothing of a forged one is parsed."""
    if len(data) > MAX_BYTES:
        raise Refused("too long", f"{len(data)} bytes, at most {MAX_BYTES}")
    mac, space, body = data[:_MAC_BYTES], data[_MAC_BYTES : _MAC_BYTES + 1], data[_MAC_BYTES + 1 :]
    if space != b" " or not body:
        raise Refused("malformed", "no signature in front")
    if not hmac.compare_digest(mac, _mac(body, token)):
        raise Refused("forged", "the signature is not that of the siren's token")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused("malformed", str(error)[:160]) from None


def _mine(message: M, siren: str) -> M:
    if message.siren != siren:
        raise Refused("not for me", f"'{message.siren}', expected '{siren}'")
    return message


def _mac(body: bytes, token: bytes) -> bytes:
    if len(token) < MIN_TOKEN_BYTES:
        raise ValueError(f"found a token of {len(token)} bytes, expected at least {MIN_TOKEN_BYTES}")
    return hmac.digest(token, body, "sha256").hex().encode()
