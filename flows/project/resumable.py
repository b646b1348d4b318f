"""The folder of resumable work: a restarted run finds it again, and a lock keeps other runs out."""

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
def resumable(parent: Path, *identity: str, what: str) -> Iterator[Path]:
    """A folder in `parent` for work of a kind (`what`: "training"), named by a hash of what it depends on (`identity`),
    so that the same work finds its files after an interruption. Folders of other work are removed: their data or
    settings are out of date. UserError while another run of this kind holds the lock."""
    name = sha256("\0".join((version("cma-tagger"), *identity)).encode()).hexdigest()[:16]
    parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(parent / f".{what}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as fault:
        raise UserError(f"another {what} is running and holds {lock.lock_file}: wait until it has ended") from fault
    with lock:
        folder = parent / f".unfinished-{name}"
        for other in parent.glob(".unfinished-*"):
            if other != folder:
                shutil.rmtree(other)
        if folder.exists():
            console.print(f"resuming the {what} that was interrupted")
        folder.mkdir(exist_ok=True)
        yield folder
