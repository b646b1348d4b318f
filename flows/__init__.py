"""When things happen: the settings, the runs, the Prefect flows over them, and the `cma` command."""
