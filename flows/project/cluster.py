"""A Dask client: of the user's scheduler, or of a cluster of local processes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.errors import UserError

if TYPE_CHECKING:
    from distributed import Client


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
    # A task that has ended two workers fails instead of ending more of them.
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        LocalCluster(
            n_workers=workers, threads_per_worker=at_once, dashboard_address="127.0.0.1:0", silence_logs="ERROR"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
