"""Parquet feeds, with picture paths or with the pictures themselves inside."""

from collections.abc import Iterator
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from catalog_io.feed_columns import FeedColumns
from catalog_io.source_text import Opener, blank_words_to_null
from schemas.errors import UserError


class ParquetFile:
    """The picture column is text (a path), bytes, or the Hugging Face hub's `struct<bytes, path>`."""

    def __init__(self, path: str, opener: Opener, columns: FeedColumns) -> None:
        self.path = path
        self.opener = opener
        self.columns = columns
        with self.opener() as stream:
            try:
                empty = _polars(pq.ParquetFile(stream).schema_arrow.empty_table())
            except (pa.ArrowException, OSError, pl.exceptions.PolarsError) as fault:
                raise UserError(f"{path}: this is not a Parquet file that we can read: {fault}") from fault
        columns.check(empty.columns, path)
        for ours, theirs in columns.theirs.items():
            dtype = empty.schema[theirs]
            if not (_is_text(dtype) or (ours == "image" and (dtype == pl.Binary or _is_hub_image(dtype)))):
                wanted = "text, bytes or struct<bytes, path>" if ours == "image" else "text or whole numbers"
                raise UserError(
                    f"{path}: the column {theirs!r} ({ours}) holds {dtype}, where {wanted} is needed; "
                    "map another column in cma.toml, or convert this one"
                )
        self.schema = empty.schema

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        with self.opener() as stream:
            try:
                for batch in pq.ParquetFile(stream, page_checksum_verification=True).iter_batches(batch_rows):
                    batch.validate(full=True)  # Arrow itself does not look whether text is UTF-8
                    yield self._frame(_polars(pa.Table.from_batches([batch])))
            except (pa.ArrowException, OSError) as fault:
                raise UserError(f"{self.path}: the file is damaged: {fault}; fetch or write it again") from fault

    def _frame(self, rows: pl.DataFrame) -> pl.DataFrame:
        theirs = self.columns.theirs
        image, dtype = pl.col(theirs["image"]), self.schema[theirs["image"]]
        path, picture = pl.lit(""), pl.lit(None)
        if _is_text(dtype):
            path = image.cast(pl.String)
        elif dtype == pl.Binary:
            picture = image
        else:
            picture = image.struct.field("bytes")
            path = image.struct.field("path") if "path" in _fields(dtype) else path
        plain = [name for name, dtype in self.schema.items() if not _has_bytes(dtype)]
        raw = pl.struct(*plain).struct.json_encode()
        frame = rows.select(
            *(pl.col(column).cast(pl.String).alias(ours) for ours, column in theirs.items() if ours != "image"),
            image=path,
            picture=picture,
            raw=raw,
            fault=pl.lit(None),
        )
        return blank_words_to_null(frame.select(self.columns.schema.names()).cast(self.columns.schema))


def _polars(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _is_text(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def _fields(dtype: pl.DataType) -> dict[str, Any]:
    return {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}


def _is_hub_image(dtype: pl.DataType) -> bool:
    return _fields(dtype).get("bytes") == pl.Binary


def _has_bytes(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    return bool(dtype == pl.Binary or any(map(_has_bytes, _fields(dtype).values())) or (inner and _has_bytes(inner)))
