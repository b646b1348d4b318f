"""Guesses how a feed can be read, from the names of its columns and from its first rows."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import NamedTuple

from catalog_io.feeds.columns import FeedShape
from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.published.layouts import layout_of
from catalog_io.feeds.read import feed_shape
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.columns import Mapping, map_columns
from flows.cli.init.labels import Candidate, Chosen, choose, make_taxonomy
from flows.cli.init.needed import with_needed
from flows.cli.init.objects import with_keys
from flows.cli.init.pairs import PairSource, pair_sources
from flows.cli.init.pictures import guess_separator, local_paths, picture_folder, splits_urls
from flows.cli.init.sample import Sample, read_sample
from flows.cli.init.toml import toml_text
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_SHAPE_NOTES = {
    "encoding": "the file is not UTF-8; {} is guessed from its bytes",
    "delimiter": "{} splits the first line into the most columns",
    "header_line": "line {} looks like the one that names the columns",
}
_MANY = 0.1  # of the first rows


class Guess(NamedTuple):
    """How a feed can probably be read."""

    feed: FeedSettings
    taxonomy: Taxonomy
    notes: list[str]  # what is uncertain: the name of a setting, and a sentence
    export: str | None = None  # the name of the export that the columns are those of


def guess_feed(source: str, query: str | None = None) -> Guess:
    """Guesses the settings of a feed; its source is a path, glob, URI, or SQLAlchemy URL with a query. UserError where
    it cannot be read, or where a needed column cannot be guessed."""
    if layout := layout_of(source):
        raise UserError(
            f"{source}: this is a published data set, whose columns are known: set `layout = {toml_text(layout)}` for "
            "it, or start from the project file in docs/published-data.md"
        )
    unmapped = FeedSettings("mine", source, {}, {}, query=query)
    shape = feed_shape(unmapped)
    mapping = map_columns(shape.columns)
    export, folder, notes = mapping.export, _local_folder(source), list(mapping.notes)
    feed = _with_shape(unmapped, shape, notes)
    feed = replace(feed, null_words=export.null_words if export else ())
    feed = with_keys(with_needed(feed, mapping, shape.columns, folder, notes), notes)
    pairs = pair_sources(feed, mapping, shape.columns)
    sample = read_sample(feed, _label_columns(mapping, pairs))
    feed = _with_pictures(feed, mapping, sample, folder, notes)
    chosen = _chosen_labels(mapping, pairs, sample, notes)
    feed = replace(feed, labels={attribute: choice.source for attribute, choice in chosen.items()})
    is_found = folder is not None and feed.images != folder
    notes += [note for note in (export.notes if export else ()) if not (is_found and note.startswith("images: "))]
    notes += list(_doubtful_rows(feed, sample, notes))
    return Guess(feed, make_taxonomy(chosen), notes, export.name if export else None)


def _local_folder(source: str) -> str | None:
    """The folder that a local feed is in; None for a remote one or a database."""
    return None if "://" in source else os.path.dirname(re.split(r"[*?\[]", source)[0]) or "."


def _with_shape(feed: FeedSettings, shape: FeedShape, notes: list[str]) -> FeedSettings:
    """The feed with the settings that it cannot be read without."""
    settings = {field.name for field in fields(feed)} - {"columns"}
    needed = {key: value for key, value in shape._asdict().items() if key in settings and value}
    for key, value in needed.items():
        note = _SHAPE_NOTES.get(key, "{} is guessed").format(toml_text(value))
        notes.append(f"{key}: {shape.doubt if key == 'encoding' and shape.doubt else note}")
    return replace(feed, **needed)


def _label_columns(mapping: Mapping, pairs: dict[str, list[PairSource]]) -> dict[str, str | LabelPairs]:
    """All columns and pairs that may have labels, by a key for each."""
    columns: dict[str, str | LabelPairs] = {name: name for names in mapping.labels.values() for name in names}
    return columns | {f"{key}: {pair.shown}": pair.source for key, found in pairs.items() for pair in found}


def _chosen_labels(
    mapping: Mapping, pairs: dict[str, list[PairSource]], sample: Sample, notes: list[str]
) -> dict[str, Chosen]:
    chosen = {}
    for attribute, names in mapping.labels.items():
        of_pairs = pairs.get(attribute, [])
        candidates = [
            Candidate(pair.source, pair.shown, sample.words.get(f"{attribute}: {pair.shown}", Counter()))
            for pair in of_pairs
        ]
        candidates += [Candidate(name, toml_text(name), sample.words[name]) for name in names if name in sample.words]
        candidates.sort(key=lambda candidate: not candidate.words)
        if choice := choose(attribute, candidates, notes):
            chosen[attribute] = choice
            notes += [f"labels.{attribute}: {pair.note}" for pair in of_pairs if pair.source == choice.source]
    return chosen


def _with_pictures(
    feed: FeedSettings, mapping: Mapping, sample: Sample, folder: str | None, notes: list[str]
) -> FeedSettings:
    """The feed with the separator and the folder of its pictures."""
    usual = mapping.export.separator if mapping.export else None
    found = guess_separator(sample.pictures)
    separator = found.value if found else usual
    if found and found.value != usual:
        notes.append(f"image_separator: {toml_text(found.value)} separates what look like several pictures in one cell")
    elif separator and (split := splits_urls(sample.pictures, separator)):
        notes.append(
            f"image_separator: {toml_text(separator)}, which separates the pictures of this export, is also in "
            f"{split} URLs of the first rows, so it is not set: pictures after the first may be lost"
        )
        separator = None
    if found and found.fits < found.of:
        notes.append(f"image_separator: {found.of - found.fits} cells have it within what looks like one picture")
    feed = replace(feed, image_separator=separator)
    paths = local_paths(sample.pictures, separator)
    if folder is None:
        return feed
    place = picture_folder(folder, paths)
    if paths and place.fits == 0 and "{" not in str(feed.columns["image"]):
        notes.append(f"images: none of the first {place.of} pictures is below this folder; set it to where they are")
    elif place.value != folder:
        notes.append(f"images: {place.fits} of the first {place.of} pictures are below this folder")
    return replace(feed, images=place.value)


def _doubtful_rows(feed: FeedSettings, sample: Sample, notes: list[str]) -> Iterator[str]:
    if sample.rows and not sample.pictures and not sample.embedded:
        yield f"image: none of the first {sample.rows:,} rows has a picture in {toml_text(feed.columns['image'])}"
    if sample.repeated > _MANY * sample.rows and not any("listing_id_duplicate" in note for note in notes):
        yield (
            f"listing_id: {sample.repeated:,} of the first {sample.rows:,} rows have the id of an earlier row: "
            "where they differ in more than the picture, they are rejected as listing_id_duplicate"
        )
    for code, count in sample.rejected.most_common():
        if count > _MANY * sample.rows:
            yield f"rows: {count:,} of the first {sample.rows:,} have the fault {code}"
