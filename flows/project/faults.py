"""Faults of the machine as one sentence each: what happened, and the way out."""

import errno
import os

from schemas.errors import UserError

_AGAIN = "what is finished is kept, and running this again continues from it"
_FULL = f"the disk is full. Free some space, or move the project's home to a larger disk (home in cma.toml); {_AGAIN}"
_CAUSES = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "the file system is read-only. Mount it for writing, or set another home in cma.toml",
    errno.EACCES: "the permission is missing. Give this user the right to read and write there, or set another home in "
    "cma.toml",
    errno.EIO: f"the disk or its connection fails. See the system's log, then replace it or mount it again; {_AGAIN}",
    errno.EMFILE: "too many files are open. Raise the limit (ulimit -n 4096), and run this again",
    errno.ENOMEM: f"the memory is used up. Close other programs, or set fewer workers in cma.toml; {_AGAIN}",
}
# What libraries say that hand no number of the system's error on; all quote its text.
_TEXTS = {os.strerror(number): number for number in _CAUSES} | {
    "Out of Memory": errno.ENOMEM,
    "Unable to allocate": errno.ENOMEM,
}
_DAMAGED = ("Corrupt database file", "not a valid DuckDB database", "does not match stored checksum")


def explained(fault: BaseException) -> UserError | None:
    """The fault as an error for the user; None for what is no fault of the machine: a mistake in the program."""
    if isinstance(fault, UserError):
        return fault
    if not isinstance(fault, Exception):
        return None
    said = str(fault).strip().replace("\n", " ") or type(fault).__name__
    if isinstance(fault, MemoryError):
        return UserError(f"{said}: {_CAUSES[errno.ENOMEM]}")
    if any(text in said for text in _DAMAGED):
        return UserError(
            f"{said}: the catalogue is damaged. Move work.duckdb (and work.duckdb.wal) out of the project's home, and "
            "copy catalog.duckdb there to work.duckdb: it is the state of the last publication. Then run this again"
        )
    number = fault.errno if isinstance(fault, OSError) else None
    number = number or next((number for text, number in _TEXTS.items() if text in said), None)
    return UserError(f"{said}: {_CAUSES[number]}") if number in _CAUSES else None
