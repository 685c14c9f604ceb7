"""What goes between the service and its sirens: what is refused, and why."""

import hashlib
import hmac
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opencram.outputs.sirens.messages import (
    MAX_BYTES,
    Ack,
    Beat,
    Command,
    Refused,
    decode_for_service,
    decode_for_siren,
    encode,
)

TOKEN, OTHER = b"a token of the north siren", b"a token of the south siren"
COMMAND = Command(
    siren="north", id="base.north.5.0", seq=7, zone="base", kind="rocket", status="Actual", issued_ns=5, expires_ns=90
)
ACK = Ack(siren="north", id=COMMAND.id, seq=7, stage="sounding", time_ns=6)


def signed(body: bytes, token: bytes = TOKEN) -> bytes:
    """A message as RFC 2104 and the standard library's other way to it sign it."""
    return hmac.new(token, body, hashlib.sha256).hexdigest().encode() + b" " + body


def why(data: bytes, token: bytes = TOKEN, siren: str = "north") -> str:
    with pytest.raises(Refused) as refused:
        decode_for_siren(data, token, siren)
    return refused.value.reason


def test_a_message_is_its_signature_and_its_json() -> None:
    data = encode(COMMAND, TOKEN)
    assert data == signed(data[65:])
    assert json.loads(data[65:]) == {"is": "command", **msgspec.to_builtins(COMMAND)}
    assert decode_for_siren(data, TOKEN, "north") == COMMAND
    assert decode_for_service(encode(ACK, TOKEN), TOKEN, "north") == ACK


def test_another_sirens_token_makes_no_command() -> None:
    assert why(encode(COMMAND, OTHER)) == "forged"
    assert why(encode(COMMAND, TOKEN), siren="south") == "not for me"


@given(place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_changed_byte_is_refused(place: int, flip: int) -> None:
    data = bytearray(encode(COMMAND, TOKEN))
    data[place % len(data)] ^= flip
    assert why(bytes(data)) in ("forged", "malformed")


@given(data=st.binary(max_size=300))
def test_noise_is_refused(data: bytes) -> None:
    assert why(data) in ("forged", "malformed")


def test_what_is_long_is_refused_unread() -> None:
    assert why(signed(b" " * MAX_BYTES)) == "too long"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "volcano"},
        {"seq": -1},
        {"seq": 2**63},
        {"seq": 1.5},
        {"expires_ns": 5},
        {"status": "Exercise", "kind": "test"},
        {"kind": "drill"},
        {"zone": ""},
        {"zone": "z" * 65},
        {"surplus": 1},
        {"is": "ack"},
        {"id": None},
    ],
)
def test_signed_nonsense_is_refused(change: dict[str, object]) -> None:
    body = {"is": "command", **msgspec.to_builtins(COMMAND), **change}
    assert why(signed(json.dumps(body).encode())) == "malformed"


def test_a_siren_cannot_be_told_what_it_said_itself() -> None:
    """A message sent back to where it came from: both know the token, but each reads only the other's kinds."""
    assert why(encode(ACK, TOKEN)) == "malformed"
    with pytest.raises(Refused, match="malformed"):
        decode_for_service(encode(COMMAND, TOKEN), TOKEN, "north")


def test_a_short_token_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least 16"):
        encode(Beat(siren="north", time_ns=1), b"short")
