"""Parquet feeds, with picture paths or with the pictures themselves inside."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns
from catalog_io.feeds.formats.text import Opener
from catalog_io.feeds.picture_cells import fields, is_text
from schemas.errors import UserError

_BUFFER_BYTES = 1 << 20  # of each column; without a buffer, Arrow reads a row group's whole column at once


class ParquetFile:
    """A picture column is text (a path), bytes, the Hugging Face hub's `struct<bytes, path>`, or lists of these."""

    def __init__(self, path: str, opener: Opener, columns: FeedColumns | None) -> None:
        self.path = path
        self.opener = opener
        self.columns = columns
        with self.opener() as stream:
            try:
                file = pq.ParquetFile(stream)
                self.schema = _polars(file.schema_arrow.empty_table()).schema
            except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as fault:
                raise UserError(f"{path}: this is not a Parquet file that we can read: {fault}") from fault
            groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        row_bytes = [group.total_byte_size / group.num_rows for group in groups if group.num_rows]
        self.most_rows = max(1, int(BATCH_BYTES / max([1, *row_bytes])))
        self.names = self.schema.names()
        if columns:
            columns.check(self.names, path)
            self._check_types(columns)

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        assert self.columns is not None
        with self.opener() as stream:
            try:
                file = pq.ParquetFile(stream, page_checksum_verification=True, buffer_size=_BUFFER_BYTES)
                for batch in file.iter_batches(min(batch_rows, self.most_rows), columns=self._needed(self.columns)):
                    batch.validate(full=True)  # Arrow itself does not look whether text is UTF-8
                    yield self._frame(_polars(pa.Table.from_batches([batch])), self.columns)
            except (pa.ArrowException, OSError) as fault:
                raise UserError(f"{self.path}: the file is damaged: {fault}; fetch or write it again") from fault

    def _needed(self, columns: FeedColumns) -> list[str] | None:
        """All columns but those of bytes that are not mapped; None, where these are all."""
        needed = [name for name, dtype in self.schema.items() if name in columns.names or not _has_bytes(dtype)]
        return needed if needed != self.names else None

    def _check_types(self, columns: FeedColumns) -> None:
        ids, labels = ("listing_id", "product_id"), {**columns.text, **columns.words}
        for ours, theirs in [*labels.items(), *(("image", name) for name in columns.images)]:
            dtype = self.schema[theirs]
            if ours == "image":
                fits, wanted = _is_picture(dtype), "text, bytes or struct<bytes, path>, or lists of these,"
            elif ours in ids:
                fits, wanted = is_text(dtype), "text or whole numbers"
            else:
                fits, wanted = is_text(dtype) or _is_plain(dtype), "text, a number or a date"
            if not fits:
                raise UserError(
                    f"{self.path}: the column {theirs!r} ({ours}) holds {dtype}, where {wanted} is needed; "
                    "map another column in cma.toml, or convert this one"
                )

    def _frame(self, rows: pl.DataFrame, columns: FeedColumns) -> pl.DataFrame:
        plain = [name for name in rows.columns if not _has_bytes(self.schema[name])]
        raw = rows.select(pl.struct(*plain).struct.json_encode()).to_series()
        return columns.frame(rows, raw)


def _polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _is_plain(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype in (pl.Boolean, pl.Date, pl.Datetime, pl.Time)


def _is_picture(dtype: Any) -> bool:
    if isinstance(dtype, pl.List | pl.Array):
        dtype = dtype.inner
    return bool(is_text(dtype) or dtype == pl.Binary or fields(dtype).get("bytes") == pl.Binary)


def _has_bytes(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    return bool(dtype == pl.Binary or any(map(_has_bytes, fields(dtype).values())) or (inner and _has_bytes(inner)))
