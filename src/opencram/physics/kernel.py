"""Compiled functions: one decorator for what Python calls, one for the small parts that only compiled code calls.

`kernel` takes explicit signatures, so that everything is compiled (or read from the cache) when its module is imported
and nothing is ever compiled inside a step. No `fastmath`: the same input must give the same bits.
"""

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ParamSpec, TypeVar, cast

import numba
from numba.core import caching, config

P = ParamSpec("P")
R = TypeVar("R")


def kernel(*signatures: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Compile a function for the given numba signatures (text), at once, cached on disk where a folder allows it.

    Arrays are C-contiguous and writable, of exactly the stated type; integers are taken where a float is expected.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        return cast(Callable[P, R], _compile(list(signatures), function))

    return decorate


def device(function: Callable[P, R]) -> Callable[P, R]:
    """A part that kernels call; it has no signature of its own and becomes part of each kernel that uses it.

    Their cache holds it with them, so it has none.
    """
    return cast(Callable[P, R], numba.njit(fastmath=False, error_model="numpy")(function))


def warmup() -> None:
    """Compile every kernel of the core, or read it from the cache: all are compiled when their modules are imported."""
    for package in ("opencram.physics", "opencram.tracking"):
        for module in iter_modules(import_module(package).__path__, package + "."):
            import_module(module.name)


def _compile(signatures: list[str], function: Callable[..., Any]) -> object:
    """Numba refuses a function for which no folder can hold the cache: then a private one is named, then none is used.

    So a read-only tree whose user has no home, or a full disk, costs start-up time only.
    """

    def compiled(cached: bool) -> object:
        return numba.njit(signatures, cache=cached, fastmath=False, error_model="numpy")(function)

    try:
        return compiled(cached=True)
    except (RuntimeError, OSError):
        folder = _private_folder()
    if folder is not None and not vars(config)["CACHE_DIR"]:
        vars(config)["CACHE_DIR"] = str(folder)
        try:
            return compiled(cached=True)
        except (RuntimeError, OSError):
            pass
    return compiled(cached=False)


def _private_folder() -> Path | None:
    """A temporary folder that only this user can write: compiled code read from another's folder would run as ours."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"opencram-kernels-{user}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    private = not hasattr(os, "getuid") or (found.st_uid == user and not found.st_mode & 0o022)
    return folder if private and stat.S_ISDIR(found.st_mode) and os.access(folder, os.W_OK) else None


class _Stamped:
    """Makes the cache notice a change in any module that a kernel's own rests on; numba sees only its own."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return _stamp(Path(self._py_file))


@cache
def _stamp(source: Path) -> str:
    """Digest of a source file and of the opencram modules that it imports, and so on."""
    text = source.read_bytes()
    digest = hashlib.sha256(text)
    for name in re.findall(rb"^from (opencram[.\w]*) import", text, re.MULTILINE):
        needed = import_module(name.decode()).__file__
        digest.update(_stamp(Path(needed)).encode() if needed else b"")
    return digest.hexdigest()


class NamedFolder(_Stamped, caching.UserProvidedCacheLocator):
    """The folder of NUMBA_CACHE_DIR, where one is named."""


class OwnTree(_Stamped, caching.InTreeCacheLocator):
    """`__pycache__` beside the module; where it cannot be written, what its owner has compiled into it is read."""

    def ensure_cache_path(self) -> None:
        """Refuse a folder that cannot be written and has nothing to read; what is missing there is refused later."""
        try:
            super().ensure_cache_path()  # type: ignore[no-untyped-call]
        except OSError:
            folder = Path(self.get_cache_path())  # type: ignore[no-untyped-call]
            if next(folder.glob("*.nbi"), None) is None:
                raise


class UsersCache(_Stamped, caching.UserWideCacheLocator):
    """The user's cache folder."""


if not vars(config)["CACHE_LOCATOR_CLASSES"]:
    vars(config)["CACHE_LOCATOR_CLASSES"] = ",".join(
        f"{__name__}.{c.__name__}" for c in (NamedFolder, OwnTree, UsersCache)
    )
