"""Reads UPMC Food-101 (Wang et al. 2015): a CSV of titles for each split, and pictures in a folder for each label."""

from collections.abc import Iterator

import polars as pl

from catalog_io.feeds.columns import FeedColumns, FeedShape
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.csv_rows import Dialect, csv_rows
from catalog_io.feeds.formats.delimited import as_json, csv_cells
from catalog_io.feeds.formats.text import EncodedFile, batches
from catalog_io.feeds.settings import FeedSettings

PARTS = {"texts/train_titles.csv": "train", "texts/test_titles.csv": "test"}
COLUMNS = {"listing_id": "listing_id", "title": "title", "image": "image", "split": "split"}
_PUBLISHED = ("file", "title", "label")  # columns; the CSV has no header


class Food101Part:
    """One split. A listing is `<split>/<file>`, its picture `images/<split>/<label>/<file>`; `label` can be mapped."""

    def __init__(self, file: FeedFile, split: str, feed: FeedSettings, columns: FeedColumns) -> None:
        self.file = EncodedFile(file, feed)
        self.split = split
        self.columns = columns
        self.shape = FeedShape([*_PUBLISHED, "listing_id", "image", "split"])
        columns.check(self.shape.columns, file.shown)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        with self.file.lines(newline="") as lines:
            for rows in batches(csv_rows(lines, Dialect(","), len(_PUBLISHED)), lines, batch_rows):
                published, unreadable = csv_cells(rows, _PUBLISHED, self.file)
                yield self.columns.frame(self._cells(published), as_json(published), unreadable)

    def _cells(self, published: pl.DataFrame) -> pl.DataFrame:
        file, label = (pl.col(name).str.strip_chars().replace("", None) for name in ("file", "label"))
        return published.with_columns(
            listing_id=pl.concat_str(pl.lit(self.split), file, separator="/"),
            image=pl.concat_str(pl.lit(f"images/{self.split}"), label, file, separator="/"),
            split=pl.lit(self.split),
        )
