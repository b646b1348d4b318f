"""The folder of long work under way: the same work finds it again after a kill, and no other runs beside it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import filelock

from flows.project.progress import console
from schemas.errors import UserError


@contextmanager
def unfinished(parent: Path, *identity: str, what: str) -> Iterator[Path]:
    """A folder below `parent` named by what the work (`what`: "training") is done on and how. Those of others, whose
    data or settings are no more, are removed."""
    name = sha256("\0".join((version("cma-tagger"), *identity)).encode()).hexdigest()[:16]
    parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(parent / f".{what}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as fault:
        raise UserError(f"another {what} is under way ({lock.lock_file} is held): wait until it has ended") from fault
    with lock:
        folder = parent / f".unfinished-{name}"
        for other in parent.glob(".unfinished-*"):
            if other != folder:
                shutil.rmtree(other)
        if folder.exists():
            console.print(f"going on with the {what} that was interrupted")
        folder.mkdir(exist_ok=True)
        yield folder
