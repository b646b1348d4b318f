"""Integers of Hugging Face's ClassLabel are read by the names in the Parquet file's metadata."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog_io.feeds.formats.class_labels import dataset_features, with_class_names
from tests.catalog_io.feeds.feed_files import read

COLOR = {"names": ["red", "navy", "floral green"], "_type": "ClassLabel"}


def dataset(path: Path, colors: list[Any], features: Any, kind: pa.DataType | None = None) -> Path:
    columns = {"id": [f"{n}" for n in range(len(colors))], "name": ["Dress"] * len(colors), "pic": ["a"] * len(colors)}
    table = pa.table({**columns, "color": pa.array(colors, kind or pa.int64())})
    pq.write_table(table.replace_schema_metadata({"huggingface": features}), path)
    return path


@pytest.mark.parametrize("kind", [pa.int64(), pa.int8(), pa.uint16()])
def test_classes_are_read_by_their_names(tmp_path: Path, kind: pa.DataType) -> None:
    features = json.dumps({"info": {"features": {"id": {"dtype": "string", "_type": "Value"}, "color": COLOR}}})
    frame = read(dataset(tmp_path / "a.parquet", [2, 0, None, 1, 3], features, kind), {"color": "color"})
    assert frame["label_word_color"].to_list() == ["floral green", "red", None, "navy", "3"]
    assert json.loads(frame["raw"][0])["color"] == "floral green"


def test_minus_one_is_no_class(tmp_path: Path) -> None:
    features = json.dumps({"info": {"features": {"color": COLOR}}})
    frame = read(dataset(tmp_path / "a.parquet", [-1, 0], features), {"color": "color"})
    assert frame["label_word_color"].to_list() == [None, "red"]


@pytest.mark.parametrize(
    "features",
    [
        "not JSON",
        "[" * 100_000,
        "[]",
        '{"info": null}',
        '{"info": {"features": []}}',
        '{"info": {"features": {"color": 1}}}',
        '{"info": {"features": {"color": {"_type": "ClassLabel"}}}}',
        '{"info": {"features": {"color": {"_type": "ClassLabel", "names": []}}}}',
        '{"info": {"features": {"color": {"_type": "Value", "names": ["red"]}}}}',
    ],
)
def test_other_metadata_changes_nothing(tmp_path: Path, features: str) -> None:
    frame = read(dataset(tmp_path / "a.parquet", [0, -1], features), {"color": "color"})
    assert frame["label_word_color"].to_list() == ["0", "-1"]


def test_classes_within_structs_and_lists() -> None:
    rows = pl.DataFrame(
        {"s": [{"c": 1, "x": 0}, None], "l": [[0, 1], []], "^s$": [0, -1]},
        schema_overrides={"l": pl.List(pl.Int64)},
    )
    features = {"s": {"c": COLOR}, "^s$": COLOR}
    for several in ({"feature": COLOR, "_type": "Sequence"}, {"feature": COLOR, "_type": "List"}, [COLOR]):
        named = with_class_names(rows, {**features, "l": several}).to_dict(as_series=False)
        assert named == {
            "s": [{"c": "navy", "x": 0}, None],
            "l": [["red", "navy"], []],
            "^s$": ["red", None],
        }
    assert dataset_features(None) == {}
