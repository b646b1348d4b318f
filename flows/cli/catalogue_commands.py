"""Commands about the catalogue: nightly, ingest, tag, report, sql, runs, compact."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from flows.cli.console import Config, flow_config, open_project, out
from flows.cli.printing import ingestion, tagging

Limit = Annotated[int | None, typer.Option(min=1, help="Tag at most this many listings; the next run tags the others.")]
Until = Annotated[str | None, typer.Option(help="Begin no tagging after this time of day, such as 06:00.")]
SqlFormat = Literal["table", "csv", "json", "parquet"]


def nightly(limit: Limit = None, until: Until = None, config: Config = None) -> None:
    """Ingests all feeds, tags new and changed listings, publishes the tags and writes the report (flow nightly).

    Its cost depends on how much has changed since the last run.
    """
    config = flow_config(config)
    from flows import deployments
    from flows.nightly import NightFailed

    try:
        tagging.print_night(out, deployments.nightly(config, limit, until))
    except NightFailed as failed:
        tagging.print_night(out, failed.night)
        raise


def ingest(
    feeds: Annotated[list[str] | None, typer.Argument(help="Names of feeds (default: all).")] = None,
    config: Config = None,
) -> None:
    """Reads feeds into the catalogue and publishes the snapshot for analysts (flow ingest-catalog).

    A bad row does not stop it: the row is rejected, and the table rejections has the reasons.
    """
    config = flow_config(config)
    from flows import deployments
    from flows.ingestion.ingest import FeedsFailed

    try:
        ingestion.print_feeds(out, deployments.ingest_catalog(config, feeds))
    except FeedsFailed as failed:
        ingestion.print_feeds(out, failed.summaries)
        raise


def tag(limit: Limit = None, until: Until = None, config: Config = None) -> None:
    """Tags new and changed listings and publishes the snapshot for analysts (flow tag-catalog).

    New listings come first, then changed ones, then those that only a new model or certificate concerns.
    """
    config = flow_config(config)
    from flows import deployments
    from flows.tagging.summary import ListingsKilled

    try:
        tagging.print_tags(out, deployments.tag_catalog(config, limit, until))
    except ListingsKilled as failed:
        tagging.print_tags(out, failed.summary)
        raise


def report(config: Config = None) -> None:
    """Writes the report of noisy listings among the published tags (flow noise-report)."""
    config = flow_config(config)
    from flows import deployments

    tagging.print_report(out, deployments.noise_report(config))


def sql(
    query: Annotated[str, typer.Argument(help="One SQL statement, in DuckDB's dialect.")],
    format: Annotated[SqlFormat, typer.Option(help="Format of the output.")] = "table",
    config: Config = None,
) -> None:
    """Queries the published snapshot, read-only.

    Views of active listings: tagged_listings (a row a listing, a column an attribute, accepted values only),
    noisy_listings, unusable_pictures, doubtful_pictures (used, with a note), shared_pictures (pictures that several
    products use), tag_coverage, provisional_tags (tags of feeds that have no certificate). Of all listings: tag_inputs
    (what tagging depends on), tag_changes and flag_changes (what the last tagging run changed).

    Tables: listings, listing_images, images, labels, tags, tag_history, noise_flags, flag_history, rejections,
    model_versions, promotions, evaluations, drift, runs.
    """
    from flows.project.settings import find_config, load_settings

    print_sql(load_settings(find_config(config)).home, query, format)


def runs(
    config: Config = None, limit: Annotated[int, typer.Option(min=1, help="Number of runs, newest first.")] = 20
) -> None:
    """Lists past runs: when each started, how long it took, how it ended.

    A run is completed, failed, or crashed, which means that its process was killed.
    """
    from flows.project.runs import mark_crashed

    catalog = open_project(config).catalog
    if not catalog.read_only:
        mark_crashed(catalog)
    ingestion.print_runs(out, catalog.runs().head(limit))


def disk(config: Config = None) -> None:
    """Shows how much each part of the project's home takes on the disk, and how much is free."""
    from flows.project.disk import usage
    from flows.project.settings import find_config, load_settings

    home = load_settings(find_config(config)).home
    ingestion.print_disk(out, home, usage(home))


def compact(config: Config = None) -> None:
    """Merges small picture shards. `cma nightly` does this by itself once there are enough of them."""
    from flows.ingestion.compact import compact as compact_pictures

    ingestion.print_compacted(out, compact_pictures(open_project(config)))


def print_sql(home: Path, statement: str, format: SqlFormat) -> None:
    """Prints the rows that the published snapshot in `home` answers with."""
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
        case "table":
            with pl.Config(
                tbl_rows=100,
                tbl_cols=-1,
                fmt_str_lengths=80,
                tbl_hide_dataframe_shape=True,
                tbl_hide_column_data_types=True,
            ):
                print(rows)
            if rows.height > 100:
                print(f"(100 of {rows.height} rows are shown; --format csv prints all)", file=sys.stderr)
