"""Stops asking hosts that keep failing, since a dead one would cost its timeout for each of its pictures."""

import threading
import time
from collections.abc import Callable

from schemas.pictures import PictureError

FAILURES = 8  # in a row
PAUSE_SECONDS = 600


class HostHealth:
    """Failures in a row by host and port; after FAILURES, the host is paused for PAUSE_SECONDS. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, int] = {}
        self._paused_until: dict[str, float] = {}

    def check(self, host: str) -> None:
        """Raises PictureError while the host is paused."""
        with self._lock:
            if self._clock() < self._paused_until.get(host, 0):
                raise PictureError(
                    "picture_connection_failed",
                    f"{host} failed {FAILURES} times in a row and is not asked any more; the next run asks it again",
                )

    def note(self, host: str, *, answered: bool) -> None:
        """Records whether the host answered."""
        with self._lock:
            failures = 0 if answered else self._failures.get(host, 0) + 1
            if failures >= FAILURES:
                self._paused_until[host] = self._clock() + PAUSE_SECONDS
                failures = 0
            self._failures[host] = failures
