"""Edits the label cells of the sample's feed, and reads what the catalogue says of them."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl

from catalog_io.catalog.snapshot import query
from flows.project.project import Project
from models.lifecycle.card import write_card

TAGS = "select * exclude (run_id, tagged_at) from tags order by feed, listing_id, attribute"
FLAGS = "select * exclude (run_id) from noise_flags order by all"


def flag_conflicts(project: Project, threshold: float) -> None:
    """The champion flags conflicts of labels from this score on; 0: every label that its tag contradicts."""
    model = project.model()
    noise = replace(model.card.noise, thresholds=model.card.noise.thresholds | {"label_conflict": threshold})
    write_card(replace(model.card, noise=noise), model.folder)


def edit_labels(config: Path, change: Callable[[dict[str, str]], None]) -> None:
    """Applies `change` to every row of the feed."""
    feed = config.parent / "catalogue" / "listings.csv"
    rows = list(csv.DictReader(feed.read_text(encoding="utf-8").splitlines()))
    for row in rows:
        change(row)
    with feed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def set_label(config: Path, listing: str, **words: str) -> None:
    edit_labels(config, lambda row: row.update(words) if row["listing_id"] == listing else None)


def conflicts(project: Project, attribute: str = "color") -> dict[str, str]:
    """Listing → detail of the conflicts of labels that the published view shows."""
    sql = f"""select listing_id, detail from noisy_listings
              where kind = 'label_conflict' and attribute = '{attribute}' order by 1"""
    return dict(query(project.home, sql).iter_rows())


def tag_of(project: Project, listing: str, attribute: str = "color") -> str:
    sql = f"select value from tags where listing_id = '{listing}' and attribute = '{attribute}'"
    return str(query(project.home, sql).item())


def stored(project: Project) -> list[pl.DataFrame]:
    return [query(project.home, sql) for sql in (TAGS, FLAGS)]
