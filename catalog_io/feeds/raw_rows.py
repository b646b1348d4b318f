"""The rows of a feed as they are shown in reports: JSON of bounded length."""

import json

import polars as pl

RAW_CHARACTERS = 20_000  # characters of a row that are stored for the report of rejected rows


def json_text(value: object) -> str:
    """The value as JSON, which is the beginning as a text of JSON where it is long; text that is not Unicode is
    escaped, so any store takes it."""
    raw = _json(value[:RAW_CHARACTERS] if isinstance(value, str) else value)
    return raw if len(raw) <= 2 * RAW_CHARACTERS else _json(raw[:RAW_CHARACTERS])


def clipped(raw: pl.Series) -> pl.Series:
    """Rows of JSON, of which each longer one is the beginning as a text of JSON."""
    if not (raw.str.len_chars() > RAW_CHARACTERS).any():
        return raw
    rows = [json_text(row) if row is not None and len(row) > RAW_CHARACTERS else row for row in raw]
    return pl.Series("raw", rows, dtype=pl.String)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
