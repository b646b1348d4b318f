"""Reads the beginning of a feed, with every column that may have labels, to see what is in them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.cells.null_words import NullWords
from schemas.errors import UserError
from schemas.frames import LABEL_WORD_PREFIX
from schemas.validation import split_valid

_ROWS, _BYTES = 50_000, 200_000_000
_SHOWN = 200  # ids and titles that are kept
_MOST_CELLS = 100_000  # of pictures


@dataclass
class Sample:
    """What the first rows of a feed have."""

    rows: int = 0
    words: dict[str, Counter[str]] = field(default_factory=dict)  # how often a column has a word, by column
    unreadable: list[str] = field(default_factory=list)  # columns that cannot have words, by their type
    pictures: list[str] = field(default_factory=list)  # cells of pictures
    embedded: int = 0  # pictures that are in the feed itself
    ids: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)  # rows, by code
    repeated: int = 0  # rows with a title and the id of an earlier row
    continuing: int = 0  # rows without a title and with the id of an earlier row


def read_sample(feed: FeedSettings, columns: Mapping[str, str | LabelPairs]) -> Sample:
    """The sample of a feed whose `columns` are mapped, with the words of some columns, by a key for each."""
    sample = Sample(words={key: Counter() for key in columns})
    keys = {f"k{number}": key for number, key in enumerate(columns)}
    reading = replace(feed, labels={name: columns[key] for name, key in keys.items()}, image_separator=None)
    try:
        frames = read_feed(reading)
    except UserError:
        sample.unreadable = [key for key in columns if not _readable(feed, columns[key])]
        if not sample.unreadable:
            raise
        for key in sample.unreadable:
            del sample.words[key]
        keys = {name: key for name, key in keys.items() if key in sample.words}
        frames = read_feed(replace(reading, labels={name: columns[key] for name, key in keys.items()}))
    null_words = NullWords.of(feed.null_words)
    seen: set[str] = set()
    size = 0
    for frame in frames:
        checked = split_valid(frame, null_words)
        for name, key in keys.items():
            words = checked.accepted[f"{LABEL_WORD_PREFIX}{name}"].drop_nulls()
            sample.words[key].update(dict(words.value_counts().iter_rows()))
        both = [rows["pictures"] for rows in (checked.accepted, checked.untitled)]
        pictures = pl.concat(both).explode().drop_nulls().struct.unnest()
        named = pictures.filter(pl.col("data").is_null() & (pl.col("uri") != ""))["uri"]
        sample.embedded += pictures["data"].len() - pictures["data"].null_count()
        sample.pictures += named.head(_MOST_CELLS - len(sample.pictures)).to_list()
        ids = checked.accepted["listing_id"].to_list()
        known = {*seen, *ids}
        for listing_id, codes in checked.rejected.select("listing_id", "codes").iter_rows():
            if codes == ["title_missing"] and listing_id in known:
                sample.continuing += 1
            else:
                sample.rejected.update(codes)
        sample.repeated += len(ids) - len(set(ids) - seen)
        seen = known
        sample.ids += ids[: _SHOWN - len(sample.ids)]
        sample.rows, size = sample.rows + frame.height, size + int(frame.estimated_size())
        if sample.rows >= _ROWS or size >= _BYTES:
            break
    return sample


def _readable(feed: FeedSettings, column: str | LabelPairs) -> bool:
    try:
        read_feed(replace(feed, labels={"one": column}))
    except UserError:
        return False
    return True
