"""Who does the work of a study: processes of this machine, or the workers of a Dask cluster; the rows are the same.

Both take chunks of runs and hand back each chunk with its rows, whichever is done first.
"""

from __future__ import annotations

import hashlib
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import islice
from multiprocessing import parent_process
from typing import TYPE_CHECKING, Any

from opencram.drive.trial import run_chunk
from opencram.errors import InputError
from opencram.report.outcomes import Row

if TYPE_CHECKING:
    from distributed import Client

ANSWER_WITHIN_S = 10.0
"""A scheduler that has not answered by then is not there, nor are its workers."""
AHEAD = 2
"""Chunks that wait at each worker of a cluster, so that none is idle while the next is on its way."""


@dataclass(frozen=True)
class Chunk:
    """Runs of one case, next to each other: what a worker is handed at a time."""

    case: int
    first: int
    """Which of the case's runs comes first."""
    texts: tuple[tuple[str, str], ...]
    seeds: tuple[int, ...]
    what: str
    """The case, for people."""


Done = tuple[Chunk, list[Row]]
Work = Callable[[Iterable[Chunk]], Iterator[Done]]


@dataclass(frozen=True)
class Workers:
    """Something that does chunks, and how many it does at a time."""

    count: int
    work: Work


def do(chunk: Chunk) -> Done:
    """One chunk, wherever this is called; InputError says of which case it is."""
    _leave_ctrl_c_to_the_command()
    try:
        return chunk, run_chunk(chunk.texts, chunk.seeds)
    except InputError as error:
        raise InputError(f"{chunk.what}: {error}") from None


def _leave_ctrl_c_to_the_command() -> None:
    """A terminal sends it to all its processes; the command ends its workers, which have nothing to say of it."""
    if parent_process() is not None and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def local(workers: int) -> Iterator[Workers]:
    """Processes of this machine."""

    def work(chunks: Iterable[Chunk]) -> Iterator[Done]:
        from joblib import Parallel, delayed

        parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
        yield from parallel(delayed(do)(chunk) for chunk in chunks)

    yield Workers(workers, work)


@contextmanager
def cluster(address: str) -> Iterator[Workers]:
    """The workers of the Dask scheduler at an address such as tcp://10.0.0.5:8786; InputError where there are none."""
    client = _client(address)
    try:
        _check_workers(client, address)
        threads = sum(client.nthreads().values())

        def work(chunks: Iterable[Chunk]) -> Iterator[Done]:
            from distributed import as_completed

            futures = (client.submit(do, chunk, pure=False) for chunk in chunks)
            done: Any = as_completed(list(islice(futures, AHEAD * threads)), loop=client.loop)
            for future in done:
                yield future.result()
                for following in islice(futures, 1):
                    done.add(following)

        yield Workers(threads, work)
    finally:
        client.close()


def _client(address: str) -> Client:
    if not re.fullmatch(r"((tcp|tls)://)?[^\s/:]+:\d+", address):
        raise InputError(f"--scheduler: found '{address}', expected an address such as tcp://10.0.0.5:8786")
    try:
        from distributed import Client
    except ImportError:
        raise InputError("--scheduler: found no Dask here, expected it; try: pip install 'opencram[dask]'") from None
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        # asked first, for Dask goes on trying where nobody listens
        socket.create_connection((host, int(port)), ANSWER_WITHIN_S).close()
        return Client(address, timeout=ANSWER_WITHIN_S, set_as_default=False)
    except (OSError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"--scheduler {address}: found no Dask scheduler there ({reason[:120]})") from None


def _check_workers(client: Client, address: str) -> None:
    """See that there are workers, and that each has this very program: else its rows would be another's."""
    try:
        client.wait_for_workers(1, timeout=ANSWER_WITHIN_S)
    except OSError:
        raise InputError(f"--scheduler {address}: found a scheduler without workers, expected one or more") from None
    try:
        theirs = client.run(program_digest)
    except Exception as error:  # Dask has no other name for what a worker cannot load
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"--scheduler {address}: found a worker without this opencram ({reason})") from None
    for worker, digest in sorted(theirs.items()):
        if digest != program_digest():
            raise InputError(f"--scheduler {address}: found another opencram at {worker}, expected the same everywhere")


@cache
def program_digest() -> str:
    """SHA-256 over the program's own code and data: rows of one table come of one program."""
    digest = hashlib.sha256()
    todo = [resources.files("opencram")]
    while todo:
        for entry in sorted(todo.pop().iterdir(), key=lambda entry: entry.name):
            if entry.is_dir():
                todo += [] if entry.name in ("__pycache__", "static") else [entry]
            elif entry.name.endswith((".py", ".yaml", ".geojson")):
                digest.update(entry.name.encode() + b"\0" + entry.read_bytes())
    return digest.hexdigest()
