"""Hosts that do not answer are left alone for a while: a dead one would cost its timeout for each of its pictures."""

import threading
import time
from collections.abc import Callable

from schemas.pictures import PictureError

__all__ = ["HostHealth"]

FAILURES = 8  # in a row
PAUSE_SECONDS = 600


class HostHealth:
    """Of this process, by host and port. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def check(self, host: str) -> None:
        """PictureError while the host is left alone."""
        with self._lock:
            if self._clock() < self._paused_until.get(host, 0):
                raise PictureError(
                    "picture_connection_failed",
                    f"{host} failed {FAILURES} times in a row and is left alone; it is asked again at the next run",
                )

    def note(self, host: str, *, answered: bool) -> None:
        """How a fetch from the host went."""
        with self._lock:
            failures = 0 if answered else self._failures.get(host, 0) + 1
            if failures >= FAILURES:
                self._paused_until[host] = self._clock() + PAUSE_SECONDS
                failures = 0
            self._failures[host] = failures
