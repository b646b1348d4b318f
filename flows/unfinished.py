"""The folder of a training under way: the same training finds it again after a kill, and no other runs beside it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import filelock

from flows.progress import console
from schemas.errors import UserError


@contextmanager
def unfinished(models: Path, *identity: str) -> Iterator[Path]:
    """A folder below `models` named by what the training learns from and how. Those of other trainings, whose data or
    settings are no more, are removed."""
    name = sha256("\0".join((version("cma-tagger"), *identity)).encode()).hexdigest()[:16]
    models.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(models / ".training.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as fault:
        raise UserError(f"another training is under way ({lock.lock_file} is held): wait until it has ended") from fault
    with lock:
        folder = models / f".unfinished-{name}"
        for other in models.glob(".unfinished-*"):
            if other != folder:
                shutil.rmtree(other)
        if folder.exists():
            console.print("going on with the training that was interrupted")
        folder.mkdir(exist_ok=True)
        yield folder
