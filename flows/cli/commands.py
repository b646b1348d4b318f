"""The `cma` command. Heavy libraries are imported inside the commands that need them, so that help is instant."""

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from schemas.errors import ConfigurationError, UserError

app = typer.Typer(
    help="Tags every listing of a catalogue with its attributes, from picture and title together.\n\n"
    "Start with `cma demo`, or with `cma init` in a folder of your own; then `cma nightly` every night.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models_app = typer.Typer(help="Registered models: list them, look at one, promote one, go back to the champion before.")
app.add_typer(models_app, name="models")
out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)

Config = Annotated[
    Path | None,
    typer.Option("--config", help="The project file (default: CMA_CONFIG, else cma.toml in this folder)."),
]


def main() -> None:
    """Exit 0: done; 1: failed; 2: wrong usage or configuration."""
    try:
        app()
    except UserError as error:
        print(f"cma: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"cma-tagger {version('cma-tagger')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where the sample catalogue and its project are made.")] = Path("demo"),
    listings: Annotated[int, typer.Option(min=1000, help="Listings of the sample catalogue.")] = 3600,
    seed: Annotated[int, typer.Option(help="The same seed makes the same catalogue.")] = 7,
) -> None:
    """Makes a sample catalogue and runs everything on it: ingest, train, compile, tag, report, SQL.

    Ends with an honest comparison against the ground truth. Run again, it goes on where it was.
    """
    flows = _flows()
    from flows.cli import printing as summaries
    from flows.experiments.demo import make_demo, score_demo
    from flows.project.project import Project

    config, sample = make_demo(folder, listings=listings, seed=seed)
    out.print(f"[bold]sample catalogue[/bold] {sample.feed}")
    project = Project.open(config)
    summaries.feeds(out, flows.ingest_catalog(config))
    if project.catalog.champion() is None:
        summaries.model(out, flows.train_cma(config))
    if project.model().choose_engine(project.settings.tag.engine).fallback:
        summaries.engines(out, flows.compile_engine(config))
    summaries.tags(out, flows.tag_catalog(config))
    report = flows.noise_report(config)
    summaries.demo(out, score_demo(project, sample))
    question = "select color, style, count(*) as listings from tagged_listings group by all order by 3 desc limit 5"
    out.print(f'\n[bold]cma sql "{question}"[/bold]')
    _print_sql(project.home, question, "table")
    summaries.report(out, report)
    out.print(f'\nAsk your own: [bold]cma sql --config {config} "select …"[/bold]   (tables: `cma sql --help`)')


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write listings.csv, images/ and ground_truth.csv.")],
    listings: Annotated[int, typer.Option(min=1, help="How many.")] = 3600,
    seed: Annotated[int, typer.Option(help="The same seed makes the same catalogue.")] = 7,
) -> None:
    """Writes the generated sample catalogue alone, with its planted faults and their ground truth."""
    from catalog_io.sample.catalogue import make_sample
    from flows.project.progress import bar

    with bar("render", listings) as advance:
        made = make_sample(folder, listings=listings, seed=seed, progress=advance)
    out.print(f"{made.feed}\n{made.ground_truth}")


@app.command()
def init(
    feed: Annotated[
        str | None,
        typer.Argument(help="To guess columns and label words from: a file, glob, URI, or SQLAlchemy URL."),
    ] = None,
    query: Annotated[str | None, typer.Option(help="The feed's SQL, where FEED is a SQLAlchemy URL.")] = None,
) -> None:
    """Writes a commented cma.toml and taxonomy.yaml into this folder."""
    from flows.cli.starter import write_starter

    for path in write_starter(Path.cwd(), feed, query):
        out.print(str(path))
    out.print("Read both, correct what was guessed wrong, then: cma ingest && cma train && cma compile && cma nightly")


@app.command()
def ingest(
    feeds: Annotated[list[str] | None, typer.Argument(help="Names of feeds; all, where none is given.")] = None,
    config: Config = None,
) -> None:
    """Reads feeds into the catalogue (flow ingest-catalog). Bad rows are kept with their reasons, never fatal."""
    flows = _flows()
    from flows.cli import printing as summaries
    from flows.ingestion.ingest import FeedsFailed

    try:
        summaries.feeds(out, flows.ingest_catalog(_config(config), feeds))
    except FeedsFailed as failed:
        summaries.feeds(out, failed.summaries)
        raise


@app.command()
def train(
    promote: Annotated[
        bool, typer.Option("--promote", help="Promote the new model, whatever the comparison says.")
    ] = False,
    config: Config = None,
) -> None:
    """Trains a model on the labelled listings and registers it (flow train-cma).

    The first model is the champion, the one that tags. A later one takes its place where it is not worse on the same
    held-out listings.
    """
    flows = _flows()
    from flows.cli import printing as summaries

    done = flows.train_cma(_config(config))
    summaries.model(out, done)
    if promote and not done.verdict.promoted:
        from flows.modelling.promotion import promote as promote_model
        from flows.project.project import Project

        summaries.switched(out, promote_model(Project.open(_config(config)), done.card.version))


@app.command("compile")
def compile_(config: Config = None) -> None:
    """Builds the champion's engine and checks it against the reference (flow compile-engine).

    Under tag.engine = "auto", one that fails gives way to the next: tensorrt, cuda, openvino, torch.

    The model card is written anew: it speaks of the engine that tags.
    """
    flows = _flows()
    from flows.cli import printing as summaries

    built = flows.compile_engine(_config(config))
    summaries.engines(out, built)
    if not built[-1].gate.passed:
        raise UserError(
            f'the {built[-1].backend} engine failed its gate and will not be used; with tag.engine = "auto" the next '
            "best that passes does its work"
        )


@app.command()
def certify(
    feeds: Annotated[list[str] | None, typer.Argument(help="Names of feeds; all, where none is given.")] = None,
    config: Config = None,
) -> None:
    """Certifies the champion's tags on the labels of feeds, such as one that it did not train on (flow certify-feeds).

    The model card is written anew.
    """
    flows = _flows()
    from flows.cli import printing as summaries

    summaries.certified(out, flows.certify_feeds(_config(config), feeds))


@app.command()
def tag(config: Config = None) -> None:
    """Tags what is new or changed, and publishes the analysts' snapshot (flow tag-catalog)."""
    flows = _flows()
    from flows.cli import printing as summaries

    summaries.tags(out, flows.tag_catalog(_config(config)))


@app.command()
def report(config: Config = None) -> None:
    """Writes the noisy-listing report of the published tags (flow noise-report)."""
    flows = _flows()
    from flows.cli import printing as summaries

    summaries.report(out, flows.noise_report(_config(config)))


@app.command()
def nightly(config: Config = None) -> None:
    """Ingest → tag → publish → report (flow nightly). Costs what changed."""
    flows = _flows()
    from flows.cli import printing as summaries
    from flows.nightly import NightFailed

    try:
        summaries.nightly(out, flows.nightly(_config(config)))
    except NightFailed as failed:
        summaries.nightly(out, failed.night)
        raise


@app.command()
def compact(config: Config = None) -> None:
    """Merges the small picture shards of many nights. `cma nightly` does it by itself, when there are enough."""
    from flows.cli import printing as summaries
    from flows.ingestion.compact import compact as compact_pictures
    from flows.project.project import Project

    summaries.compact(out, compact_pictures(Project.open(config)))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement (DuckDB's).")],
    format: Annotated[Literal["table", "csv", "json", "parquet"], typer.Option(help="Of what is printed.")] = "table",
    config: Config = None,
) -> None:
    """Asks the published snapshot; it can change nothing.

    Views of active listings: tagged_listings (a row a listing, a column an attribute, accepted values only),
    noisy_listings, unusable_pictures, shared_pictures (one picture, several products), tag_coverage,
    provisional_tags (of feeds without a certificate).
    Tables: listings, listing_images, images, labels, tags, noise_flags, rejections, model_versions, promotions,
    evaluations, drift, runs.
    """
    _print_sql(_home(config), query, format)


@app.command()
def evaluate(
    version: Annotated[str | None, typer.Argument(help="A model (default: the champion).")] = None,
    split: Annotated[
        Literal["test", "calibration", "validation", "train"], typer.Option(help="Only test was never used.")
    ] = "test",
    feed: Annotated[str | None, typer.Option(help="Only listings of this feed.")] = None,
    values: Annotated[bool, typer.Option("--values", help="Print a table by value of each attribute, too.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")] = None,
    config: Config = None,
) -> None:
    """Measures a model on labelled listings of products that it never saw.

    Results are stored (table evaluations). The model card is written anew where they are of the whole test split.
    """
    from flows.cli import printing as summaries
    from flows.modelling.evaluate import evaluate_model
    from flows.project.project import Project
    from schemas.files import replacing

    done = evaluate_model(Project.open(config), version, split=split, feed=feed)
    summaries.evaluation(out, done, values=values)
    if json_file:
        with replacing(json_file) as file:
            file.write_text(json.dumps(done.to_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
        out.print(f"  {json_file}")


@app.command()
def ablate(
    feeds: Annotated[list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Each variant is trained with so many.")] = 3,
    variants: Annotated[str, typer.Option(help="Names with commas between (default: all).")] = "",
    epochs: Annotated[list[str] | None, typer.Option(help="STAGE=N, instead of the preset's; may be repeated.")] = None,
    folder: Annotated[Path | None, typer.Option(help="For the results (default: ablation, in the home).")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Variants trained at once.")] = 1,
    config: Config = None,
) -> None:
    """Trains the network without some of its parts, and simpler methods, on this catalogue, and compares them.

    Variants: classical, zero-shot, contrastive, title-only, picture-only, late-fusion, without-ma-sa, without-ma, full;
    and, where asked for, full or another network with options of the preset changed after the towers, as swapped=0 or
    without-ma+swapped=0.
    Takes hours. Run again, it goes on where it was.
    """
    from flows.cli import printing as summaries
    from flows.experiments.ablate import ablate as ablate_project
    from flows.project.project import Project

    done = ablate_project(
        Project.open(config),
        feeds=feeds or (),
        seeds=seeds,
        variants=[name.strip() for name in variants.split(",") if name.strip()],
        epochs=_epochs(epochs or []),
        folder=folder,
        processes=processes,
    )
    summaries.ablation(out, done)


@app.command()
def bench(
    preset: Annotated[
        str | None, typer.Option(help="This preset's network with random weights, instead of the champion.")
    ] = None,
    listings: Annotated[int, typer.Option(min=64, help="Of the catalogue, drawn at random.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each; medians are printed.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all results to this file.")] = None,
    config: Config = None,
) -> None:
    """Measures how fast the network runs here: plain PyTorch, the engines, and a worker of `cma tag`.

    All take turns within one run, each in a process of its own, so ratios hold on a busy machine too. Some minutes.
    """
    from flows.cli.printing import print_bench
    from flows.experiments.bench import bench as run_bench
    from flows.project.project import Project
    from schemas.files import replacing

    done = run_bench(Project.open(config), preset_name=preset, listings=listings, rounds=rounds)
    print_bench(out, done)
    if json_file:
        with replacing(json_file) as file:
            file.write_text(json.dumps(done.to_dict(), indent=1), encoding="utf-8")
        out.print(f"  {json_file}")


@app.command()
def runs(config: Config = None, limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20) -> None:
    """What ran: when, how long, how it ended."""
    from flows.cli import printing as summaries
    from flows.project.project import Project

    summaries.runs(out, Project.open(config).catalog.runs().head(limit))


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, config: Config = None) -> None:
    """Lists the registered models."""
    context.obj = config
    if context.invoked_subcommand is None:
        from flows.cli import printing as summaries
        from flows.project.project import Project

        summaries.models(out, Project.open(config).catalog.models())


@models_app.command()
def show(context: typer.Context, version: str) -> None:
    """Prints where a model comes from, its configuration, metrics and promotions, as JSON."""
    from dataclasses import asdict

    from flows.project.project import Project

    catalog = Project.open(context.obj).catalog
    row = next((row for row in catalog.models() if row.model_version == version), None)
    if row is None:
        raise UserError(f"there is no model {version}: `cma models` lists them")
    promotions = [made._asdict() for made in catalog.promotions() if made.model_version == version]
    print(json.dumps({**asdict(row), "promotions": promotions}, indent=1, default=str, ensure_ascii=False))


@models_app.command()
def promote(
    context: typer.Context,
    version: str,
    compare: Annotated[
        bool, typer.Option("--compare", help="Only compare it with the champion; change nothing.")
    ] = False,
) -> None:
    """Makes a registered model the champion: the one that tags. Its files are checked first."""
    from flows.cli import printing as summaries
    from flows.modelling.promotion import compare_with_champion
    from flows.modelling.promotion import promote as promote_model
    from flows.project.project import Project

    project = Project.open(context.obj)
    if compare:
        summaries.comparison(out, compare_with_champion(project, version))
    else:
        summaries.switched(out, promote_model(project, version))


@models_app.command()
def rollback(context: typer.Context) -> None:
    """Makes the champion before this one the champion again; once more, the one before that."""
    from flows.cli import printing as summaries
    from flows.modelling.promotion import roll_back
    from flows.project.project import Project

    summaries.switched(out, roll_back(Project.open(context.obj)))


def _config(given: Path | None) -> Path:
    from flows.project.settings import find_config

    return find_config(given)


def _home(config: Path | None) -> Path:
    from flows.project.settings import load_settings

    return load_settings(_config(config)).home


def _epochs(given: list[str]) -> dict[str, int]:
    """`STAGE=N`, as `--epochs` takes it."""
    epochs = {}
    for text in given:
        stage, equals, count = text.partition("=")
        if not (equals and count.isascii() and count.isdigit()):
            raise ConfigurationError(f"--epochs: {text!r} is not STAGE=N, such as end-to-end=3")
        epochs[stage] = int(count)
    return epochs


def _flows() -> Any:
    """The Prefect flows, quietly: without a server of the user's, Prefect starts a temporary one (some seconds)."""
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
    from flows import deployments as prefect_flows

    return prefect_flows


def _print_sql(home: Path, statement: str, format: str) -> None:
    import polars as pl

    from catalog_io.catalog.snapshot import query

    rows = query(home, statement)
    match format:
        case "csv":
            print(rows.write_csv(), end="")
        case "json":
            print(json.dumps(rows.to_dicts(), default=str, indent=1, ensure_ascii=False))
        case "parquet":
            rows.write_parquet(sys.stdout.buffer)
        case _:
            with pl.Config(
                tbl_rows=100,
                tbl_cols=-1,
                fmt_str_lengths=80,
                tbl_hide_dataframe_shape=True,
                tbl_hide_column_data_types=True,
            ):
                print(rows)
            if rows.height > 100:
                print(f"({rows.height} rows; --format csv prints all)", file=sys.stderr)


if __name__ == "__main__":
    main()
