"""Rows of numbers on disk, found by the hash of what they were computed from, and shared by all runs of a machine."""

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import filelock
import numpy as np
from jaxtyping import Float16
from numpy.typing import NDArray

from schemas.errors import UserError

KEY_BYTES = 16
_LARGEST = float(np.finfo(np.float16).max)


class FeatureRows:
    """Rows of one shape in `folder`, appended in float16. A key is written after its row, so that a killed run leaves
    whole rows only, and processes append one after the other.

    `folder` is one of several in a common one, whose files together stay below `most_bytes`: for new rows, the folders
    that were opened longest ago make room. UserError where the disk is full.
    """

    def __init__(self, folder: Path, *, shape: tuple[int, ...], most_bytes: int) -> None:
        self._folder, self._shape, self._most = folder, shape, most_bytes
        self._row_bytes = 2 * int(np.prod(shape))
        self._rows: dict[bytes, int] = {}
        self._lock = filelock.FileLock(folder / "lock")
        self._keys_file, self._rows_file = folder / "keys", folder / "rows"
        self._read_keys()
        self._keys_file.touch()  # its time says when the folder was used last

    def __contains__(self, key: bytes) -> bool:
        return key in self._rows

    def __getitem__(self, keys: Sequence[bytes]) -> Float16[np.ndarray, "N ..."]:
        """The rows of these keys, which are all here."""
        return self._mapped[[self._rows[key] for key in keys]]

    def add(self, keys: Sequence[bytes], compute: Callable[[list[int]], NDArray[np.float32]]) -> None:
        """Appends the rows of the keys that are not here, as far as there is room. `compute` gives the rows at some
        positions of `keys`; it runs under the lock, so that no two processes compute the same row."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._read_keys()
            places = {key: place for place, key in enumerate(keys) if key not in self._rows}
            new = dict(list(places.items())[: self._room(len(places))])
            if new:
                rows = np.clip(compute(list(new.values())), -_LARGEST, _LARGEST).astype(np.float16)
                self._append(self._rows_file, self._row_bytes, rows.tobytes())
                self._append(self._keys_file, KEY_BYTES, b"".join(new))
                self._read_keys()

    def _append(self, path: Path, size: int, content: bytes) -> None:
        """Writes after the rows that are here, over what a killed run may have left there."""
        try:
            with path.open("r+b") as file:
                file.seek(len(self._rows) * size)
                file.write(content)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(
                f"{self._folder}: there is no space for {len(content) / 1e6:.0f} MB of picture features "
                f"({error.strerror}); free some, or lower model.cache_gb"
            ) from error

    def _read_keys(self) -> None:
        """Takes in the rows that were appended since, by any process. Begins anew where the folder was removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for file in (self._keys_file, self._rows_file):
            if not file.exists():
                self._rows = {}
                file.touch()
        with self._keys_file.open("rb") as keys:
            keys.seek(len(self._rows) * KEY_BYTES)
            found = keys.read()
        for start in range(0, len(found) - KEY_BYTES + 1, KEY_BYTES):
            self._rows[found[start : start + KEY_BYTES]] = len(self._rows)
        if found:
            shape = (len(self._rows), *self._shape)
            self._mapped = np.memmap(self._rows_file, dtype=np.float16, mode="r", shape=shape)

    def _room(self, wanted: int) -> int:
        """How many of `wanted` rows may be appended, after other folders have made room."""
        others = {other: _bytes_in(other) for other in self._folder.parent.iterdir() if other != self._folder}
        size = self._row_bytes + KEY_BYTES
        free = self._most - sum(others.values()) - len(self._rows) * size
        for other in sorted(others, key=lambda folder: (folder / "keys").stat().st_mtime):
            if free >= wanted * size:
                break
            shutil.rmtree(other)
            free += others[other]
        return min(wanted, max(0, free) // size)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
