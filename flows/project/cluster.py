"""A Dask client: of the user's scheduler, or of a cluster of local processes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from schemas.errors import UserError

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

_WATCH_SECONDS = 3.0  # a worker that is dead for as long is not being restarted by its nanny


@contextmanager
def dask_client(address: str, workers: int, *, at_once: int = 1) -> Iterator["Client"]:
    """A client of the scheduler at `address`; where that is empty, of a new cluster of `workers` local processes, each
    with `at_once` tasks at a time. UserError where the scheduler does not answer, or is lost meanwhile."""
    import dask
    from distributed import Client, LocalCluster
    from distributed.client import FutureCancelledError, FuturesCancelledError
    from distributed.comm.core import CommClosedError

    logging.getLogger("distributed").setLevel(logging.ERROR)
    if address:
        try:
            connected = Client(address)
        except (OSError, ValueError) as fault:
            raise UserError(
                f"no Dask scheduler answers at {address} ({fault}): start it, correct `dask` in [tag] and [ingest] of "
                "cma.toml, or leave it empty to use this machine's processes"
            ) from fault
        try:
            with connected as client:
                yield client
        except (FutureCancelledError, FuturesCancelledError, CommClosedError) as fault:
            raise UserError(
                f"the Dask scheduler at {address} was lost while it was in use: start it again, and run this again; "
                "what is finished is kept"
            ) from fault
        return
    # A task whose worker has died fails instead of ending another one: `isolation` runs it again, alone.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=workers, threads_per_worker=at_once, dashboard_address="127.0.0.1:0", silence_logs="ERROR"
        ) as cluster,
        _restarting(cluster),
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def _restarting(cluster: "LocalCluster") -> Iterator[None]:
    """Starts worker processes again that died while they were starting: their nanny restarts only those that died
    later, so the tasks of a cluster of one worker would wait for ever."""
    from distributed.core import Status

    ended, stopped = Event(), set[object]()

    def watch() -> None:
        while not ended.wait(_WATCH_SECONDS):
            dead = {
                nanny for nanny in cluster.workers.values() if nanny.process and nanny.process.status == Status.stopped
            }
            for nanny in dead & stopped:
                with suppress(OSError, RuntimeError):  # of a cluster that closes, or a machine that is too busy
                    cluster.sync(nanny.instantiate)
            stopped.clear()
            stopped.update(dead)

    thread = Thread(target=watch, name="restarts workers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10 * _WATCH_SECONDS)
