"""Which role each address asks for. What is not named is closed: a viewer may read it, an operator write."""

from __future__ import annotations

from opencram.serve.access.accounts import ROLES, Role

PUBLIC = ("/healthz", "/siren-endpoint", "/api/phrases", "/sign-in", "/favicon.ico")
PUBLIC_BELOW = ("/cap/", "/static/")
PHONES = "/zone/"
CHOOSING = ("/zone", "/api/places")
"""Where people choose their zone, for whoever may look at its page."""
SESSION = "/api/session"
"""Signing in and out: asks for itself who calls."""
ADMINS = ("/api/audit", "/api/reload-zones")
ACTS = ("/api/alarm", "/api/all-clear", "/api/drill", "/api/self-test", "/api/reload-zones")
PAGES = ("/", "/docs")
"""Whoever opens one in a browser without being signed in is led to the page where he can."""
READING = ("GET", "HEAD")


def needed(method: str, path: str, phones_public: bool, zone_feed: bool = False) -> Role | None:
    """The role that a request asks for; None: anybody's. `zone_feed`: the WebSocket of one zone alone, for phones."""
    if path in PUBLIC or path == SESSION or path.startswith(PUBLIC_BELOW):
        return None
    if ((path.startswith(PHONES) or path in CHOOSING) and method in READING) or zone_feed:
        return None if phones_public else "viewer"
    if path in ADMINS:
        return "admin"
    return "viewer" if method in READING else "operator"


def is_page(path: str) -> bool:
    """Whether people open it in a browser."""
    return path in (*PAGES, "/zone") or path.startswith((PHONES, "/reports/"))


def suffices(role: Role, asked: Role) -> bool:
    """Whether who has the first may do what the second may."""
    return ROLES.index(role) >= ROLES.index(asked)
