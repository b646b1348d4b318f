"""Feeds into the catalogue: read, validate, shrink pictures, store. Unchanged rows cost a read and a look-up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl

from catalog_io.images import Picture, PictureError, shrink_many, stamp
from catalog_io.sources import read_feed
from flows.progress import bar
from flows.project import Project, conserve, cores
from flows.settings import FeedSettings
from schemas.errors import ConfigurationError
from schemas.validation import split_valid

_LABEL_WORD = "label_word_"


@dataclass
class FeedSummary:
    """Rows of one feed. `read` = `accepted` + `rejected`; the accepted are `unchanged`, `inserted` or `updated`."""

    feed: str
    read: int = 0
    accepted: int = 0
    rejected: int = 0
    unchanged: int = 0
    inserted: int = 0
    updated: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unknown_words: dict[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": dict(self.reasons.most_common())}


def ingest(project: Project, feeds: Iterable[str] = ()) -> list[FeedSummary]:
    """Reads the named feeds (all, where none is named). A feed whose file is wrong changes nothing and raises."""
    names = list(feeds) or list(project.settings.feeds)
    if not names:
        raise ConfigurationError(f"{project.config} has no [feeds.…] to ingest: add one (see `cma init --help`)")
    for name in names:
        if name not in project.settings.feeds:
            known = ", ".join(project.settings.feeds) or "none"
            raise ConfigurationError(f"there is no feed {name!r} in {project.config}; its feeds: {known}")
    with project.run("ingest-catalog") as run:
        summaries = [_ingest_feed(project, name, run.run_id) for name in names]
        run.summary.update(
            {name: sum(getattr(s, name) for s in summaries) for name in ("read", "accepted", "rejected")}
        )
        run.summary["feeds"] = [summary.to_dict() for summary in summaries]
    return summaries


def _ingest_feed(project: Project, name: str, run_id: str) -> FeedSummary:
    feed, summary = project.settings.feeds[name], FeedSummary(name)
    catalog = project.catalog
    known_rows = catalog.row_hashes(name)
    known_images = catalog.known_images()
    seen: set[str] = set()
    listings, images, labels, rejections = [], [], [], []
    _require_labels(name, feed, project)
    with bar(f"ingest {name}", None) as advance:
        for rows in read_feed(feed.source, feed.columns, feed.labels, feed=name):
            valid = split_valid(rows, seen=seen)
            hashed = _with_row_hash(valid.accepted, Path(feed.images))
            changed = hashed.join(known_rows, on=["listing_id", "row_hash"], how="anti", maintain_order="left")
            stored, pictures, unusable = _with_pictures(project, feed, changed)
            new = {picture.hash: picture for picture in pictures if picture.hash not in known_images}
            shard_of = project.shards.write(list(new.values()), known_images)
            images.append(_image_rows(new, shard_of))
            known_images |= new.keys()
            listings.append(stored)
            labels.append(_label_rows(stored, project))
            rejections += [valid.rejected, unusable]
            summary.read += rows.height
            summary.rejected += valid.rejected.height + unusable.height
            summary.unchanged += hashed.height - changed.height
            advance(rows.height, note=f"{summary.rejected} rejected" if summary.rejected else "")
        kept = pl.concat(listings)
        outcome = catalog.store_feed(
            name,
            run_id,
            listings=kept,
            images=pl.concat(images),
            labels=pl.concat(labels),
            rejections=pl.concat(rejections),
        )
    summary.inserted, summary.updated = outcome.inserted, outcome.updated
    summary.accepted = summary.unchanged + summary.inserted + summary.updated
    summary.reasons.update(code for codes in pl.concat(rejections)["codes"] for code in codes)
    summary.unknown_words = {
        f"{attribute}: {word}": count for attribute, word, count in catalog.label_words_unknown(name).iter_rows()
    }
    conserve("rows read", summary.read, {"accepted": summary.accepted, "rejected": summary.rejected})
    return summary


def _require_labels(name: str, feed: FeedSettings, project: Project) -> None:
    for attribute in feed.labels:
        if attribute not in project.taxonomy.names:
            raise ConfigurationError(
                f"feeds.{name}.labels: the taxonomy has no attribute {attribute!r}; "
                f"it has {', '.join(project.taxonomy.names)}"
            )


def _with_row_hash(rows: pl.DataFrame, root: Path) -> pl.DataFrame:
    """Adds `row_hash`: of every cell that we keep, and of the picture's bytes or its file's time and size."""
    labels = [column for column in rows.columns if column.startswith(_LABEL_WORD)]
    cells = rows.select("listing_id", "product_id", "title", "image", *labels).rows()
    stamps = [
        _digest(picture) if picture is not None else stamp(root, image)
        for picture, image in zip(rows["picture"], rows["image"], strict=True)
    ]
    hashes = [
        _digest("\0".join([*(cell or "" for cell in row), mark]).encode())
        for row, mark in zip(cells, stamps, strict=True)
    ]
    return rows.with_columns(row_hash=pl.Series(hashes, dtype=pl.String))


def _with_pictures(
    project: Project, feed: FeedSettings, rows: pl.DataFrame
) -> tuple[pl.DataFrame, list[Picture], pl.DataFrame]:
    """Listings with `image_hash` and `input_hash`, their pictures, and the rejections of those without a usable one."""
    settings = project.settings.ingest
    outcomes = shrink_many(
        list(zip(rows["image"], rows["picture"], strict=True)),
        root=Path(feed.images),
        short_side=settings.picture_size,
        threads=settings.threads or cores(),
        progress=lambda _: None,
    )
    usable = pl.Series([isinstance(outcome, Picture) for outcome in outcomes], dtype=pl.Boolean)
    pictures = [outcome for outcome in outcomes if isinstance(outcome, Picture)]
    errors = [outcome for outcome in outcomes if isinstance(outcome, PictureError)]
    stored = (
        rows.filter(usable)
        .rename({"image": "uri"})
        .with_columns(image_hash=pl.Series([picture.hash for picture in pictures], dtype=pl.String))
    )
    hashes = [_digest(f"{title}\0{image}".encode()) for title, image in stored.select("title", "image_hash").rows()]
    rejected = rows.filter(~usable).select(
        "row_number",
        "listing_id",
        pl.Series("codes", [[error.code] for error in errors], dtype=pl.List(pl.String)),
        pl.Series("reasons", [[error.sentence] for error in errors], dtype=pl.List(pl.String)),
        "raw",
    )
    return stored.with_columns(input_hash=pl.Series(hashes, dtype=pl.String)), pictures, rejected


def _image_rows(pictures: dict[str, Picture], shard_of: dict[str, str]) -> pl.DataFrame:
    return pl.DataFrame(
        [(key, p.width, p.height, len(p.jpeg), shard_of[key]) for key, p in pictures.items()],
        schema={
            "image_hash": pl.String,
            "width": pl.Int64,
            "height": pl.Int64,
            "bytes": pl.Int64,
            "shard": pl.String,
        },
        orient="row",
    )


def _label_rows(listings: pl.DataFrame, project: Project) -> pl.DataFrame:
    """One row for each label word that a merchant gave; `value` is null where the taxonomy does not know the word."""
    rows = []
    for attribute in project.taxonomy.attributes:
        column = f"{_LABEL_WORD}{attribute.name}"
        if column not in listings.columns:
            continue
        for listing_id, word in listings.select("listing_id", column).iter_rows():
            if word and word.strip():
                rows.append((listing_id, attribute.name, word, attribute.value_of(word)))
    schema = {"listing_id": pl.String, "attribute": pl.String, "word": pl.String, "value": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
