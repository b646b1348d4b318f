"""Names of the classes that Hugging Face data sets store as integers, from the metadata of their Parquet files."""

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from catalog_io.feeds.picture_cells import fields


def dataset_features(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """The features of a data set, by column, as `datasets` writes them; empty where the file has none."""
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}


def with_class_names(rows: pl.DataFrame, features: Mapping[str, Any]) -> pl.DataFrame:
    """The rows, with names instead of integers in columns of ClassLabel, also within structs and lists.

    A negative integer is no class, and becomes null; one without a name stays, as text.
    """
    for name in features.keys() & set(rows.columns):
        cells = rows[name].alias("cells")  # polars takes a name such as ^a$ for a pattern
        named = _named(pl.col("cells"), features[name], cells.dtype)
        if named is not None:
            rows = rows.with_columns(cells.to_frame().select(named).to_series().alias(name))
    return rows


def _named(value: pl.Expr, feature: Any, dtype: Any) -> pl.Expr | None:
    """The value with names; None where it has no classes."""
    inner = getattr(dtype, "inner", None)
    if isinstance(dtype, pl.List) and (items := feature.get("feature") if isinstance(feature, dict) else feature):
        (item,) = items if isinstance(items, list) and len(items) == 1 else (items,)
        named = _named(pl.element(), item, inner)
        return None if named is None else value.list.eval(named)
    if not isinstance(feature, dict):
        return None
    if members := fields(dtype):
        named_members = {name: _named(value.struct.field(name), feature.get(name), of) for name, of in members.items()}
        changed = [expression.alias(name) for name, expression in named_members.items() if expression is not None]
        return value.struct.with_fields(changed) if changed else None
    names = feature.get("names")
    if feature.get("_type") != "ClassLabel" or not dtype.is_integer() or not (isinstance(names, list) and names):
        return None
    known = {code: str(name) for code, name in enumerate(names)}
    text = value.cast(pl.Int64).replace_strict(known, default=value.cast(pl.String), return_dtype=pl.String)
    return pl.when(value >= 0).then(text)
