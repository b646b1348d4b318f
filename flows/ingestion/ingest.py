"""Ingests feeds: reads, validates and deduplicates rows, shrinks new pictures, and stores all in one transaction.

Before the transaction all rows are in `Staging`, so that a feed that cannot be read changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl
import polars.selectors as cs

from catalog_io.feeds.formats.text import UNDECODED
from catalog_io.feeds.read import read_feed
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.units import unit_folder, write_units
from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from flows.ingestion.labels import LabelSummary, label_summaries
from flows.ingestion.pictures import root_name, work_units, write_reference_units
from flows.project.progress import bar, console
from flows.project.project import Project, conserve
from schemas.cells.mojibake import garbled
from schemas.cells.null_words import NullWords
from schemas.errors import ConfigurationError, DamagedFile, UserError
from schemas.frames import LABEL_WORD_PREFIX
from schemas.validation import split_valid


@dataclass
class FeedSummary:
    """Counts of one feed: rows `read` = `accepted` + `rejected`; `listings` = `unchanged` + `inserted` + `updated`.
    Several accepted rows may be pictures of one listing."""

    feed: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    listings: int = 0
    unchanged: int = 0
    inserted: int = 0
    updated: int = 0
    returned: int = 0  # inactive listings that are in the feed again
    gone: int = 0  # listings that became inactive
    pictures_worked: int = 0  # references processed: new, changed, or due for a check
    pictures_new: int = 0  # pictures stored for the first time
    without_picture: int = 0  # listings that only their title can tag
    reasons: dict[str, int] = field(default_factory=dict)  # rejected rows by code
    picture_faults: dict[str, int] = field(default_factory=dict)  # unusable pictures by code
    picture_notes: dict[str, int] = field(default_factory=dict)  # doubtful pictures, which are used, by note
    labels: dict[str, LabelSummary] = field(default_factory=dict)  # of active listings, by attribute
    undecoded: int = 0  # rejected rows that are not text in the feed's encoding
    garbled: int = 0  # titles and label words that look like text in a wrong encoding, such as Ã© for é
    garbled_example: str = ""


class FeedsFailed(UserError):
    """Some feeds could not be ingested, and changed nothing. `summaries` are those of the other feeds."""

    def __init__(self, faults: list[UserError], summaries: list[FeedSummary]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.summaries = summaries


def ingest(project: Project, feeds: Iterable[str] = (), *, publish: bool = True) -> list[FeedSummary]:
    """Ingests the named feeds (none: all), each in a transaction of its own, and publishes the snapshot. FeedsFailed
    after the last one where some could not be read; ConfigurationError at once."""
    try:
        summaries = _ingest(project, feeds)
    except FeedsFailed as fault:
        if publish and fault.summaries:
            project.catalog.publish()
        raise
    if publish:
        project.catalog.publish()
    return summaries


def _ingest(project: Project, feeds: Iterable[str]) -> list[FeedSummary]:
    names = list(feeds) or list(project.settings.feeds)
    if not names:
        raise ConfigurationError(f"{project.config} has no [feeds.…] to ingest: add one (see `cma init --help`)")
    project.require_feeds(names)
    with project.run("ingest-catalog") as run:
        summaries, faults = [], []
        for name in names:
            try:
                try:
                    summaries.append(_ingest_feed(project, name, run.run_id))
                except DamagedFile as fault:
                    console.print(f"{fault}; it is made again", markup=False)
                    summaries.append(_ingest_feed(project, name, run.run_id))
            except ConfigurationError:
                raise
            except UserError as fault:
                faults.append(fault)
        run.summary.update(
            {name: sum(getattr(s, name) for s in summaries) for name in ("read", "accepted", "rejected")}
        )
        run.summary["feeds"] = [asdict(summary) for summary in summaries]
        if faults:
            raise FeedsFailed(faults, summaries)
    return summaries


def _ingest_feed(project: Project, name: str, run_id: str) -> FeedSummary:
    feed, catalog, summary = project.settings.feeds[name], project.catalog, FeedSummary(name)
    settings = project.settings.ingest
    for attribute in feed.labels:
        if attribute not in (known := project.taxonomy.names):
            raise ConfigurationError(
                f"feeds.{name}.labels: the taxonomy has no attribute {attribute!r}; it has {', '.join(known)}"
            )
    staging = Staging(project.home, name, tuple(feed.labels))
    with staging.held(), PictureRoot(feed.images, project.settings.fetch) as root:
        root.check()
        folder = unit_folder(staging.units, feed.images, settings.picture_size)
        units = _read(project, name, staging, folder, summary)
        summary.accepted = settle(staging)
        place = root_name(feed.images, project.config.parent)
        references = catalog.write_references(name, staging, place)
        units += write_reference_units(references, root, folder, settings)
        done, summary.pictures_worked = work_units(units, feed.images, project.settings.fetch, settings, feed=name)
        new = catalog.new_images(done)
        images = project.shards.append(_pictures(new))
        stored = catalog.store_feed(
            staging,
            done,
            images,
            run_id=run_id,
            taxonomy=project.taxonomy,
            root=place,
            picture_size=settings.picture_size,
            full=feed.full,
            most_gone=feed.most_gone,
        )
    for count, value in stored._asdict().items():
        setattr(summary, count, value)
    summary.pictures_new = images.height
    summary.listings = stored.inserted + stored.updated + stored.unchanged
    summary.reasons, summary.picture_faults = catalog.reasons(name, run_id), catalog.picture_faults(name)
    summary.picture_notes = catalog.picture_notes(name)
    summary.labels = label_summaries(catalog.label_words(name))
    conserve("rows read", summary.read, {"accepted": summary.accepted, "rejected": summary.rejected})
    return summary


def _read(project: Project, name: str, staging: Staging, folder: Path, summary: FeedSummary) -> list[Path]:
    """Reads and validates all rows into the staging; returns the units of new embedded pictures, in `folder`."""
    feed, size = project.settings.feeds[name], project.settings.ingest.picture_size
    null_words = NullWords.of(feed.null_words, project.taxonomy)
    units: list[Path] = []
    with bar(f"read {name}", None) as advance:
        for rows in read_feed(feed):
            _count_garbled(rows, summary)
            valid = split_valid(rows, null_words)
            embedded = staging.add(valid)
            if embedded.height:
                seen = project.catalog.known_pictures(name, embedded["key"], size)
                new = embedded.filter(~pl.col("key").is_in(seen.implode()))
                units += write_units(new.with_columns(uri=pl.lit(""), stamp=pl.lit("")), folder)
            summary.read += rows.height
            advance(rows.height)
    return units


def _count_garbled(rows: pl.DataFrame, summary: FeedSummary) -> None:
    found = garbled(rows.select("title", cs.starts_with(LABEL_WORD_PREFIX)).get_columns())
    summary.garbled += found.cells
    summary.garbled_example = summary.garbled_example or found.example
    if rows["fault"].null_count() < rows.height:
        summary.undecoded += int(rows["fault"].str.contains(UNDECODED).sum())


def _pictures(new: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The pictures to store, from files of results; `new` has image_hash and file."""
    for (file,), wanted in new.sort("file").group_by("file", maintain_order=True):
        done = pl.read_parquet(str(file), glob=False)
        yield done.join(wanted, on="image_hash", how="semi").unique("image_hash", maintain_order=True)
