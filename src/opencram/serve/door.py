"""How the service is reached: the address it listens on, TLS, and the names by which its certificate calls it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec

from opencram.errors import InputError
from opencram.serve.access.accounts import read_accounts

SUBJECT_ALT_NAME = bytes.fromhex("0603551d11")
"""The object identifier 2.5.29.17 as it stands in a certificate (RFC 5280)."""
OCTET_STRING, SEQUENCE, BOOLEAN, DNS_NAME = 0x04, 0x30, 0x01, 0x82


class Door(msgspec.Struct, frozen=True, kw_only=True):
    """What the web process has to know of it; paths as text."""

    secrets: str
    """The folder of accounts and tokens."""
    state: str = ""
    """The folder of the sessions and of the log of acts; empty: none is kept."""
    tls_cert: str = ""
    tls_key: str = ""
    reachable: bool = False
    """Whether others than this machine can reach it."""
    json_log: bool = False
    reports: str = ""
    """The folder of runs and studies whose pages are shown; empty: none."""

    @property
    def scheme(self) -> str:
        """`https` or `http`."""
        return "https" if self.tls_cert else "http"


def listener(address: str) -> socket.socket:
    """A socket that listens on HOST:PORT (port 0: any). It outlives the web process, so that no caller is refused.

    InputError for what is no address, or is taken.
    """
    family, where = resolved(address)
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(where)
    except OSError as error:
        made.close()
        raise InputError(f"--http: found {address}, which cannot be listened on ({error.strerror})") from None
    made.listen(1_024)
    return made


def resolved(address: str) -> tuple[int, tuple[str, int]]:
    """Family and socket address of HOST:PORT; InputError for what is none."""
    host, colon, port = address.rpartition(":")
    try:
        if not (colon and re.fullmatch(r"\d{1,5}", port, re.ASCII) and int(port) < 65_536):
            raise ValueError
        found = socket.getaddrinfo(host.strip("[]") or "127.0.0.1", int(port), type=socket.SOCK_STREAM)[0]
    except (ValueError, socket.gaierror):
        raise InputError(f"--http: found '{address}', expected HOST:PORT such as 127.0.0.1:8700") from None
    return found[0], (str(found[4][0]), int(found[4][1]))


def is_reachable(address: str) -> bool:
    """Whether others than this machine can reach HOST:PORT; InputError for what is none."""
    host = resolved(address)[1][0]
    return not (host.startswith("127.") or host == "::1")


def check_door(address: str, secrets: Path, tls: bool) -> None:
    """InputError where others can reach the address, and there is no account or no TLS to keep them out."""
    if not is_reachable(address):
        return
    lacking = []
    if not any(user.role == "admin" for user in read_accounts(secrets).users.values()):
        lacking.append("an admin's account (opencram users add NAME --role admin)")
    if not tls:
        lacking.append("TLS (--tls-cert FILE --tls-key FILE)")
    if lacking:
        raise InputError(f"--http: found {address}, which others can reach, expected {' and '.join(lacking)} first")


def tls_context(cert: Path, key: Path) -> ssl.SSLContext:
    """TLS 1.2 or newer with this certificate and key; InputError where they are not there, or not each other's."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for option, path in (("--tls-cert", cert), ("--tls-key", key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise InputError(f"{option}: found {path}, which cannot be read ({error.strerror})") from None
    try:
        context.load_cert_chain(cert, key, password=lambda: "")
    except (ssl.SSLError, ValueError):
        sentence = "expected a certificate and its own key, both PEM and the key without a password"
        raise InputError(f"--tls-cert, --tls-key: found {cert} and {key}, {sentence}") from None
    return context


def names_in(cert: Path) -> list[str]:
    """The DNS names by which a certificate (PEM) calls its server, small letters; `*.` may stand for the first part."""
    text = cert.read_text(encoding="ascii", errors="replace")
    first = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    der = ssl.PEM_cert_to_DER_cert(first[0]) if first else b""
    _, found, rest = der.partition(SUBJECT_ALT_NAME)
    if not found:
        return []
    for tag, value in _parts(rest):
        if tag == OCTET_STRING:
            (names,) = [value for tag, value in _parts(value) if tag == SEQUENCE][:1] or [b""]
            return [value.decode("ascii", "replace").lower() for tag, value in _parts(names) if tag == DNS_NAME]
        if tag != BOOLEAN:  # whether the extension is critical stands before it
            break
    return []


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each element in turn, as far as they are whole (DER, ITU-T X.690)."""
    at = 0
    while at + 2 <= len(der):
        tag, length, start = der[at], der[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, start = int.from_bytes(der[start : start + octets], "big"), start + octets
        if start + length > len(der):
            return
        yield tag, der[start : start + length]
        at = start + length
