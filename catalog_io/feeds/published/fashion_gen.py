"""Reads Fashion-Gen (Rostamzadeh et al. 2018): an HDF5 file for each split, with one row a picture."""

import codecs
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from catalog_io.feeds.columns import BATCH_BYTES, FeedColumns, FeedShape
from catalog_io.feeds.files import FeedFile
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError

# The test split was never published: results on Fashion-Gen are on its validation split.
PARTS = {"fashiongen_256_256_train.h5": "train", "fashiongen_256_256_validation.h5": "test"}
PICTURES = "input_image"  # (rows, height, width, 3), uint8; every other dataset has one value a row
COLUMNS = {
    "listing_id": "listing_id",
    "product_id": "input_productID",
    "title": "input_description",
    "image": PICTURES,
    "split": "split",
}
_QUALITY = 95  # of the JPEG that the pixels become; at 256 pixels it is stored without a second encoding


class FashionGenPart:
    """One split. Row n is the listing `<split>/<n>`, from 0; each pose of a product is a listing of its own.

    Text that is not UTF-8 is decoded by the feed's `encoding` (Latin-1 by default): published readers assume either.
    """

    def __init__(self, file: FeedFile, split: str, feed: FeedSettings, columns: FeedColumns) -> None:
        self.file = file
        self.split = split
        self.columns = columns
        self.encoding = feed.encoding or "latin-1"
        try:
            codecs.lookup(self.encoding)
        except LookupError as fault:
            raise ConfigurationError(f"feeds.{feed.name}.encoding: {fault}") from fault
        with self._datasets() as datasets:
            names = ["listing_id", "split", *datasets]
            self.shape = FeedShape(names)
            if missing := [name for name in (PICTURES, *columns.names) if name not in names]:
                raise UserError(
                    f"{file.shown}: there is no dataset {missing[0]!r}; there are {', '.join(datasets)}. Fetch the "
                    f"file again, or correct `columns` or `labels` of feeds.{feed.name}"
                )
            pictures = datasets[PICTURES]
            if pictures.ndim != 4 or pictures.shape[3] != 3 or pictures.dtype != np.uint8:
                raise UserError(
                    f"{file.shown}: the dataset {PICTURES!r} is {pictures.shape} of {pictures.dtype}, where (rows, "
                    "height, width, 3) of uint8 is needed; fetch the file again"
                )
            self.rows, self.row_bytes = len(pictures), math.prod(pictures.shape[1:])
            self.plain = [name for name, data in datasets.items() if data.shape in ((self.rows,), (self.rows, 1))]
        texts = {*columns.text_names} - {"listing_id", "split"}
        if wrong := sorted(texts - set(self.plain)):
            raise UserError(
                f"{file.shown}: the dataset {wrong[0]!r} does not have one value for each of the {self.rows} pictures; "
                f"fetch the file again, or correct `columns` or `labels` of feeds.{feed.name}"
            )

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        step = max(1, min(batch_rows, BATCH_BYTES // max(1, self.row_bytes)))
        with self._datasets() as datasets:
            for first in range(0, self.rows, step):
                batch = {name: datasets[name][first : first + step] for name in (*self.plain, PICTURES)}
                yield self._frame(batch, first)

    def _frame(self, batch: Mapping[str, np.ndarray], first: int) -> pl.DataFrame:
        values = [[self._json_value(value) for value in batch[name].ravel().tolist()] for name in self.plain]
        rows, raws = [], []
        for place, (pixels, *published) in enumerate(zip(batch[PICTURES], *values, strict=True), first):
            row = dict(zip(self.plain, published, strict=True))
            raws.append(json.dumps(row, ensure_ascii=False, default=str))
            rows.append({**row, "listing_id": f"{self.split}/{place}", "split": self.split, PICTURES: _jpeg(pixels)})
        return self.columns.frame_of_values(rows, raws, {})

    def _json_value(self, value: Any) -> Any:
        """The dataset's value as JSON has it."""
        if isinstance(value, bytes):
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value.decode(self.encoding, "replace")
        return None if isinstance(value, float) and not math.isfinite(value) else value

    @contextmanager
    def _datasets(self) -> Iterator[dict[str, Any]]:
        """The datasets of the open file, by name; slicing one reads it."""
        try:
            import h5py  # type: ignore[import-untyped]
        except ImportError as fault:
            raise ConfigurationError("the layout fashion-gen needs h5py: install cma-tagger[hdf5]") from fault
        with self.file.seekable() as stream:
            try:
                with h5py.File(stream, "r") as file:
                    yield {name: data for name, data in file.items() if isinstance(data, h5py.Dataset)}
            except (OSError, RuntimeError) as fault:
                raise UserError(
                    f"{self.file.shown}: this is not an HDF5 file that can be read: {fault}; fetch it again"
                ) from fault


def _jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return buffer.getvalue()
