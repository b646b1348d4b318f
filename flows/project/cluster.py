"""A Dask client: of the user's scheduler, or of a cluster of local processes."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def dask_client(address: str, workers: int, *, at_once: int = 1) -> Iterator["Client"]:
    """A client of the scheduler at `address`; where that is empty, of a new cluster of `workers` local processes, each
    with `at_once` tasks at a time."""
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    if address:
        with Client(address) as client:
            yield client
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
