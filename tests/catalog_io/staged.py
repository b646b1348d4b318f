"""Feeds for tests of the catalogue: rows as `read_feed` gives them, settled, with pictures as workers return them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.feed_tables import Stored
from catalog_io.feeds.columns import PICTURES
from catalog_io.pictures.work import PICTURE_DONE
from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from schemas.taxonomy import Taxonomy
from schemas.validation import split_valid

TAXONOMY = Taxonomy.from_dict(
    {"color": {"values": {"red": [], "gray": ["grey"]}}, "style": {"values": ["maxi", "mini"]}}
)


def feed_rows(*rows: Mapping[str, Any], first: int = 1) -> pl.DataFrame:
    """Rows with defaults for what they leave out; `pictures` may be a list of paths, or bytes."""
    whole = []
    for number, row in enumerate(rows, first):
        given = {"listing_id": f"L{number}", "product_id": None, "title": "Red dress", "pictures": ["a.jpg"]} | row
        given["pictures"] = [
            {"uri": "", "data": p} if isinstance(p, bytes) else {"uri": p, "data": None} for p in given["pictures"]
        ]
        defaults = {"raw": f"row {number}", "fault": None, "label_word_color": "Grey", "label_word_style": "Midi"}
        whole.append({"row_number": number} | defaults | given)
    names = ("listing_id", "product_id", "title", "raw", "fault", "label_word_color", "label_word_style")
    schema = {"row_number": pl.Int64, **dict.fromkeys(names, pl.String), "pictures": PICTURES}
    return pl.DataFrame(whole, schema=schema)


def store_rows(
    catalog: Catalog,
    *batches: pl.DataFrame,
    feed: str = "hm",
    run: str = "r1",
    faults: Sequence[str] = (),
    **options: Any,
) -> Stored:
    """Stores a whole feed; the picture at `x.jpg` becomes image `img-x.jpg`, but for paths in `faults`."""
    staging = Staging(catalog.home, feed, TAXONOMY.names)
    with staging.held():
        for batch in batches:
            staging.add(split_valid(batch))
        settle(staging)
        catalog.write_references(feed, staging, options.get("root", "pictures"))
        done = _worked(staging, faults)
        new = catalog.new_images(done)
        images = new.select(
            "image_hash",
            *(pl.lit(n, pl.Int64).alias(name) for name, n in (("width", 256), ("height", 300), ("bytes", 9000))),
            perceptual_hash=pl.lit("0" * 16),
            shard=pl.lit("shard-1.parquet"),
        )
        options = {"run_id": run, "taxonomy": TAXONOMY, "root": "pictures", "picture_size": 256} | options
        return catalog.store_feed(staging, done, images, **options)


def _worked(staging: Staging, faults: Sequence[str]) -> list[Path]:
    rows = [
        {"key": key, "uri": uri, "stamp": "s", "code": "picture_truncated", "sentence": "cut off"}
        if uri in faults
        else {"key": key, "uri": uri, "stamp": "s", "image_hash": f"img-{uri}", "jpeg": b"x"}
        for key, uri in pl.read_parquet(staging.settled("references")).select("key", "uri").iter_rows()
    ]
    staging.units.mkdir(exist_ok=True)
    path = staging.units / "1.done.parquet"
    pl.DataFrame(rows, schema=PICTURE_DONE).write_parquet(path)
    return [path]
