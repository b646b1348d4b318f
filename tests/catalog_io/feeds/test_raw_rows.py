import json

import polars as pl
import pytest

from catalog_io.feeds.raw_rows import RAW_CHARACTERS, clipped, json_text


@pytest.mark.parametrize(
    "value",
    ["a", "x" * 90_000, '"' * 90_000, "\x01" * 90_000, ["x" * 90_000], {"id": '"' * 90_000}, "\udc80", {"id": 1}],
)
def test_rows_are_json_of_bounded_length(value: object) -> None:
    text = json_text(value)
    assert isinstance(json.loads(text), str | list | dict)
    assert len(text) <= 2 * RAW_CHARACTERS + 2
    text.encode()


def test_a_long_row_is_quoted_once() -> None:
    row = json.dumps({"id": "A", "title": "x" * 90_000})
    short, long, none = clipped(pl.Series("raw", ['{"id": 1}', row, None]))
    assert (short, none) == ('{"id": 1}', None)
    assert json.loads(long) == row[:RAW_CHARACTERS]
