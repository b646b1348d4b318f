"""Reads Parquet feeds, which name their pictures or contain them."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns, FeedShape
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.formats.class_labels import dataset_features, with_class_names
from catalog_io.feeds.paths import dtype_at
from catalog_io.feeds.picture_cells import fields, is_text
from catalog_io.feeds.picture_values import holds_pictures
from catalog_io.feeds.settings import FeedSettings
from catalog_io.feeds.text_sources import template_columns
from schemas.errors import UserError

_BUFFER_BYTES = 1 << 20  # for each column; without a buffer, Arrow reads a row group's whole column at once


class ParquetFile:
    """A Parquet file. Picture columns are text, bytes, structs that name a picture, or lists of these.
    Classes that a Hugging Face data set stores as integers are read by their names."""

    def __init__(self, file: FeedFile, feed: FeedSettings, columns: FeedColumns | None) -> None:
        self.file = file
        self.columns = columns
        with file.seekable() as stream:
            try:
                parquet = pq.ParquetFile(stream)
                self.features = dataset_features(parquet.schema_arrow.metadata)
                self.schema = _polars(parquet.schema_arrow.empty_table()).schema
            except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as fault:
                raise UserError(f"{file.shown}: this is not a Parquet file that can be read: {fault}") from fault
            groups = [parquet.metadata.row_group(index) for index in range(parquet.metadata.num_row_groups)]
        row_bytes = [group.total_byte_size / group.num_rows for group in groups if group.num_rows]
        self.most_rows = max(1, int(BATCH_BYTES / max([1, *row_bytes])))
        self.shape = FeedShape(self.schema.names())
        if columns:
            columns.check(self.shape.columns, file.shown)
            self._check_types(columns)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.file.seekable() as stream:
            try:
                parquet = pq.ParquetFile(stream, page_checksum_verification=True, buffer_size=_BUFFER_BYTES)
                for batch in parquet.iter_batches(min(batch_rows, self.most_rows), columns=self._needed(self.columns)):
                    batch.validate(full=True)  # Arrow does not check by itself that text is UTF-8
                    yield self._frame(_polars(pa.Table.from_batches([batch])), self.columns)
            except (pa.ArrowException, OSError) as fault:
                raise UserError(f"{self.file.shown}: the file is damaged: {fault}; fetch or write it again") from fault

    def _needed(self, columns: FeedColumns) -> list[str] | None:
        """The columns to read: all but unmapped columns of bytes; None where that is every column."""
        mapped = columns.sources(self.shape.columns)
        needed = [name for name, dtype in self.schema.items() if name in mapped or not _has_bytes(dtype)]
        return needed if needed != self.shape.columns else None

    def _check_types(self, columns: FeedColumns) -> None:
        ids = ("listing_id", "product_id")
        text = [(ours, name) for ours, source in columns.text.items() for name in source.names]
        pairs = [(ours, name) for ours, pairs in columns.pairs.items() for name in pairs.needed(self.shape.columns)]
        paths = [("a picture's path", name) for image in columns.images for name in template_columns(image)]
        images = [("image", name) for name in columns.image_names]
        for ours, theirs in [*text, *columns.words.items(), *pairs, *paths, *images]:
            dtype = dtype_at(self.schema, theirs)
            if ours == "image":
                fits, wanted = (
                    holds_pictures(dtype),
                    "text, bytes, objects with a key such as url, src or path, or lists of these,",
                )
            elif ours in ids:
                fits, wanted = is_text(dtype), "text or whole numbers"
            else:
                plain = _is_plain(dtype) and not (ours == "title" and dtype == pl.Boolean)
                fits, wanted = is_text(dtype) or plain, "text, a number or a date"
            if not fits:
                raise UserError(
                    f"{self.file.shown}: the column {theirs!r} ({ours}) holds {dtype or 'nothing of that name'}, where "
                    f"{wanted} is needed; map another column in cma.toml{_paths(theirs, dtype)}, or convert this one"
                )

    def _frame(self, rows: pl.DataFrame, columns: FeedColumns) -> pl.DataFrame:
        rows = with_class_names(rows, self.features)
        plain = [name for name in rows.columns if not _has_bytes(self.schema[name])]
        raw = rows.select(pl.struct(*plain).struct.json_encode()).to_series()
        return columns.frame(rows, raw)


def _polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _paths(name: str, dtype: Any) -> str:
    """The paths into a column of objects or lists, for the error about it."""
    inside = list(fields(dtype)) or (["0"] if isinstance(dtype, pl.List) else [])
    return f" or a path into this one, such as {name}.{inside[0]}" if inside else ""


def _is_plain(dtype: Any) -> bool:
    return (dtype is not None and bool(dtype.is_numeric())) or dtype in (pl.Boolean, pl.Date, pl.Datetime, pl.Time)


def _has_bytes(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    return bool(dtype == pl.Binary or any(map(_has_bytes, fields(dtype).values())) or (inner and _has_bytes(inner)))
