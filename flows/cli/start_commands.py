"""Commands to start with: demo, sample, init."""

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.catalogue_commands import print_sql
from flows.cli.console import open_project, out, prepare_prefect
from flows.cli.printing import experiments, ingestion, modelling, tagging

Seed = Annotated[int, typer.Option(help="The same seed generates the same catalogue.")]


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the sample catalogue and its project.")] = Path("demo"),
    listings: Annotated[int, typer.Option(min=1000, help="Number of listings in the sample catalogue.")] = 3600,
    seed: Seed = 7,
) -> None:
    """Generates a sample catalogue and runs every step on it: ingest, train, compile, tag, report, SQL.

    At the end, the tags are compared with the ground truth. An interrupted demo resumes when it is run again.
    """
    prepare_prefect()
    from flows import deployments
    from flows.experiments.demo import make_demo, score_demo

    config, sample = make_demo(folder, listings=listings, seed=seed)
    out.print(f"[bold]sample catalogue[/bold] {sample.feed}")
    project = open_project(config)
    ingestion.print_feeds(out, deployments.ingest_catalog(config))
    if project.catalog.champion() is None:
        modelling.print_trained(out, deployments.train_cma(config))
    if project.model().choose_engine(project.settings.tag.engine).fallback:
        modelling.print_engines(out, deployments.compile_engine(config))
    tagging.print_tags(out, deployments.tag_catalog(config))
    report = deployments.noise_report(config)
    experiments.print_demo(out, score_demo(project, sample))
    question = "select color, style, count(*) as listings from tagged_listings group by all order by 3 desc limit 5"
    out.print(f'\n[bold]cma sql "{question}"[/bold]')
    print_sql(project.home, question, "table")
    tagging.print_report(out, report)
    out.print(f'\nAsk your own: [bold]cma sql --config {config} "select …"[/bold]   (tables: `cma sql --help`)')


def sample(
    folder: Annotated[Path, typer.Argument(help="Folder for listings.csv, images/ and ground_truth.csv.")],
    listings: Annotated[int, typer.Option(min=1, help="Number of listings.")] = 3600,
    seed: Seed = 7,
) -> None:
    """Generates the sample catalogue only, with its planted faults and the ground truth of both."""
    from catalog_io.sample.catalogue import make_sample
    from flows.project.progress import bar

    with bar("render", listings) as advance:
        made = make_sample(folder, listings=listings, seed=seed, progress=advance)
    out.print(f"{made.feed}\n{made.ground_truth}")


def init(
    feed: Annotated[
        str | None,
        typer.Argument(help="A feed to guess columns and label words from: a file, glob, URI or SQLAlchemy URL."),
    ] = None,
    query: Annotated[str | None, typer.Option(help="The SQL that selects the rows, if FEED is a database.")] = None,
) -> None:
    """Writes a project to start from into this folder: cma.toml and taxonomy.yaml, both with comments."""
    from flows.cli.init.starter import write_starter

    started = write_starter(Path.cwd(), feed, query)
    out.print(f"{started.config}\n{started.taxonomy}")
    if started.guess.export:
        out.print(f"The columns are those of: {started.guess.export}.", markup=False)
    for note in started.guess.notes:
        out.print(f"  {note}", markup=False)
    out.print(
        "Read both and correct what was guessed wrong. Then: cma ingest && cma train && cma compile && cma nightly"
    )
