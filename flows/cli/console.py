"""Shared by all commands: the terminal, the options --config and --json, and the preparation of Prefect."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

if TYPE_CHECKING:
    from flows.project.project import Project

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)

Config = Annotated[
    Path | None,
    typer.Option("--config", help="The project file. Default: the file that CMA_CONFIG names, else ./cma.toml."),
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write all results to this file, as JSON.")]


def write_json(path: Path | None, results: object) -> None:
    """Writes the results to the file that --json names, and prints its path; None: does nothing."""
    from schemas.files import write_whole

    if path:
        write_whole(path, json.dumps(results, indent=1, ensure_ascii=False))
        out.print(f"  {path}")


def flow_config(given: Path | None) -> Path:
    """The path of the project file, for a flow; also prepares Prefect. Call it before flows.deployments is imported."""
    from flows.project.settings import find_config

    config = find_config(given)
    prepare_prefect()
    return config


def open_project(config: Path | None) -> "Project":
    """The project of the file that --config names, or of the default one."""
    from flows.project.project import Project

    return Project.open(config)


def prepare_prefect() -> None:
    """Sets Prefect's environment; call it before flows.deployments is imported.

    Prefect's own messages are turned off. Where the user has no server, Prefect starts a temporary one in some seconds.
    """
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_CLI_PROMPT": "false",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
