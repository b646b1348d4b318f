"""Writes the report of noisy listings for the catalogue-quality team: an HTML page, and a CSV beside it."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from catalog_io.catalog.snapshot import query
from flows.project.project import Project
from flows.reports.rendering import data_uri, render
from models.lifecycle.card import ModelCard, read_card
from models.rules.noise.kinds import KINDS
from schemas.files import replacing, write_whole

SHOWN = 60  # listings of each kind on the page; the CSV has all
# Title and explanation of each kind of flag: those of models, and the one that ingestion raises.
_TEXTS = {name: (kind.title, kind.explanation) for name, kind in KINDS.items()} | {
    "unusable_picture": (
        "A picture cannot be used",
        "It is missing, damaged or not a picture. The report shows another picture of the listing, or an earlier one.",
    ),
}
_FLAGGED = """
    select n.kind, n.feed, n.listing_id, n.product_id, n.title, n.attribute, n.score, n.detail, n.image_hash, i.shard
    from noisy_listings n left join images i on i.image_hash = n.image_hash
    order by n.kind, n.score desc, n.feed, n.listing_id
"""
_REJECTED = """
    select feed, row_number, listing_id, stage, codes, reason from rejections
    order by feed, stage, row_number, listing_id
"""


@dataclass(frozen=True)
class ReportSummary:
    """The paths of the report, the number of flags by kind, and of rejected rows."""

    page: Path
    table: Path
    flags: dict[str, int]
    rejected: int


def report(project: Project) -> ReportSummary:
    """Writes `<home>/reports/noisy-listings.html` and `.csv` from the published snapshot."""
    with project.run("noise-report") as run:
        flagged = query(project.home, _FLAGGED)
        rejected = query(project.home, _REJECTED)
        folder = project.home / "reports"
        summary = ReportSummary(
            folder / "noisy-listings.html",
            folder / "noisy-listings.csv",
            dict(flagged.group_by("kind").len().sort("kind").iter_rows()),
            rejected.height,
        )
        champion = project.catalog.champion()
        card = read_card(project.home / champion.path) if champion else None
        write_whole(summary.page, _page(project, flagged, rejected, card))
        with replacing(summary.table) as table:
            flagged.drop("image_hash", "shard").write_csv(table)
        run.summary.update(page=str(summary.page), flags=summary.flags, rejected=summary.rejected)
    return summary


def _page(project: Project, flagged: pl.DataFrame, rejected: pl.DataFrame, card: ModelCard | None) -> str:
    shown = flagged.group_by("kind", maintain_order=True).head(SHOWN)
    keys = shown.filter(pl.col("shard").is_not_null()).select("image_hash", "shard").unique()
    found, damaged = project.shards.read_sound(dict(keys.iter_rows()))
    if damaged:
        project.give_up_shards(damaged)
    pictures = {key: data_uri(jpeg, "image/jpeg") for key, jpeg in found.items()}
    sections = [
        {
            "kind": kind,
            "heading": heading,
            "why": why,
            "flagged": flagged.filter(pl.col("kind") == kind).height,
            "quality": card.noise.quality.get(kind) if card else None,
            "threshold": card.noise.thresholds.get(kind) if card else None,
            "rows": shown.filter(pl.col("kind") == kind).to_dicts(),
        }
        for kind, (heading, why) in _TEXTS.items()
    ]
    reasons = rejected.explode("codes").group_by("codes").len().sort("len", descending=True)
    return render(
        "noise_report.html",
        model=card.version if card else "none",
        listings=query(project.home, "select count(*) as n from listings")["n"][0],
        sections=sections,
        pictures=pictures,
        rejected=rejected.head(SHOWN * 4).to_dicts(),
        rejected_total=rejected.height,
        reasons=reasons.rows(),
    )
