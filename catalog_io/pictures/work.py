"""Fetches and shrinks pictures: a frame of references in, a frame of pictures or faults out."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import polars as pl

from catalog_io.pictures.decoding.shrink import shrink
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from schemas.pictures import PictureError
from schemas.secrets import redacted_reference

PICTURE_WORK = pl.Schema({"key": pl.String(), "uri": pl.String(), "stamp": pl.String(), "data": pl.Binary()})
"""`data`: the embedded picture, null where it is to be fetched. `stamp`: that of the stored picture, or ""."""

PICTURE_DONE = pl.Schema(
    {
        "key": pl.String(),
        "uri": pl.String(),
        "stamp": pl.String(),
        "image_hash": pl.String(),
        "jpeg": pl.Binary(),
        "width": pl.Int32(),
        "height": pl.Int32(),
        "perceptual_hash": pl.String(),
        "note": pl.String(),
        "code": pl.String(),
        "sentence": pl.String(),
    }
)


def process_pictures(
    work: pl.DataFrame, root: str, fetch: FetchSettings, *, short_side: int, threads: int = 1
) -> pl.DataFrame:
    """PICTURE_WORK → PICTURE_DONE: one row out for each row in, in the same order.

    `note` says what is doubtful about a picture that is used. An unusable picture has code and sentence, and a null
    image_hash; one that is unchanged since its stamp has neither image_hash nor code. The stamp is "" where fetching
    failed. URIs and sentences are free of secrets.
    """
    # `shrink` handles damaged EXIF blocks and the like. Filters are global to the process, and `catch_warnings` would
    # remove this one for other threads of the worker, so it stays.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    with PictureRoot(root, fetch) as pictures, ThreadPoolExecutor(threads) as pool:
        rows = work.select(PICTURE_WORK.names()).iter_rows()
        done = list(pool.map(lambda row: _processed(pictures, short_side, *row), rows))
    return pl.DataFrame(done, schema=PICTURE_DONE, orient="row")


def _processed(
    pictures: PictureRoot, short_side: int, key: str, uri: str, stamp: str, data: bytes | None
) -> tuple[Any, ...]:
    shown = redacted_reference(uri or "")
    known, stamp = stamp or "", stamp if data is not None else ""
    try:
        if data is None:
            fetched = pictures.read(uri or "", known)
            if fetched is None:
                return (key, shown, known, *[None] * 8)
            data, stamp = fetched
        picture = shrink(data, short_side=short_side)
    except PictureError as fault:
        return (key, shown, stamp, *[None] * 6, fault.code, fault.sentence)
    return (key, shown, stamp, *picture, None, None)
