"""The `cma` command: this file names all commands; each is a function of a module beside it.

Those modules import heavy libraries inside the functions that need them, so that help is instant.
"""

import sys
import traceback
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from flows.cli import catalogue_commands as catalogue
from flows.cli import laboratory_commands as laboratory
from flows.cli import model_commands as model
from flows.cli import start_commands as start
from schemas.errors import ConfigurationError, UserError
from schemas.secrets import redacted

app = typer.Typer(
    help="Tags every listing of a catalogue with attributes such as color, from picture and title together.\n\n"
    "To see it work, run `cma demo`. For your own catalogue, run `cma init FEED` in an empty folder, then "
    "`cma ingest`, `cma train` and `cma compile`. From then on, run `cma nightly` every night.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

# The groups of `cma --help`, and the commands of each in the order that they are shown in.
GROUPS: dict[str, list[Callable[..., None]]] = {
    "Start": [start.demo, start.sample, start.init],
    "Every night": [
        *(catalogue.nightly, catalogue.ingest, catalogue.tag, catalogue.report),
        *(catalogue.sql, catalogue.runs, catalogue.disk, catalogue.compact),
    ],
    "Models": [model.train, model.compile, model.certify, model.evaluate],
    "Experiments": [laboratory.ablate, laboratory.bench],
}
for group, functions in GROUPS.items():
    for function in functions:
        app.command(rich_help_panel=group)(function)
app.add_typer(model.models_app, name="models", rich_help_panel="Models")


def main() -> None:
    """Runs `cma`. Exit code 0: it succeeded; 1: it failed; 2: the usage or the configuration is wrong."""
    try:
        app()
    except UserError as error:
        print(f"cma: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except Exception as fault:
        from flows.project.faults import explained

        # A fault of the machine is a sentence; one of the program, whose text may quote a URL, is for its authors.
        print(f"cma: {told}" if (told := explained(fault)) else redacted(traceback.format_exc()), file=sys.stderr)
        sys.exit(1)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"cma-tagger {version('cma-tagger')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
