"""The rows of a feed as they are shown in reports: JSON of bounded length."""

import json

import polars as pl

RAW_CHARACTERS = 20_000  # characters of a row that are stored for the report of rejected rows


def json_text(value: object) -> str:
    """The value as JSON of about RAW_CHARACTERS at most; text that is not Unicode is escaped, so any store takes it."""
    raw = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
    return raw if len(raw) <= RAW_CHARACTERS else json.dumps(raw[:RAW_CHARACTERS], ensure_ascii=False)


def clipped(raw: pl.Series) -> pl.Series:
    """Rows of JSON, of which each longer one is the beginning as a text of JSON."""
    if not (raw.str.len_chars() > RAW_CHARACTERS).any():
        return raw
    return pl.Series("raw", [row if len(row) <= RAW_CHARACTERS else json_text(row) for row in raw], dtype=pl.String)
