"""Labelled listings as a model encodes them: from the features that `cma tag` stored, and from pictures only where
there are none."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import polars as pl

from catalog_io.feature_store import FeatureStore, read_features, write_features
from flows.modelling.labelled import codes_of, products_of
from flows.project.progress import bar
from flows.project.project import Project, cores
from models.engines.encoded_listings import EncodedListings
from models.engines.features import unpacked
from models.engines.table import EngineName
from models.lifecycle.model import Model
from models.lifecycle.tagger import Tagger
from schemas.errors import DamagedFile
from schemas.frames import KEPT, WORK

_ROWS = 512  # listings whose pictures are in memory at once, in each thread
_FEATURES = [name for name in KEPT.names() if name != "crc32"]


class Encoder:
    """Encodes rows of `labelled_frame` with one engine of a model. `stored` counts the inputs whose features were found
    in the project, `made` those that went through the engine."""

    def __init__(self, project: Project, model: Model, engine: EngineName) -> None:
        self._project, self._model, self._engine = project, model, engine
        kept = project.settings.tag.features
        self._store = FeatureStore(project.home, model.encoder_key(engine)) if kept else None
        self._tagger: Tagger | None = None
        self.stored = self.made = 0

    def encode(
        self, frame: pl.DataFrame, *, keep: bool = False, labelled: bool = True
    ) -> tuple[pl.DataFrame, EncodedListings]:
        """The rows that can be encoded, and have a label where `labelled`; and these encoded, in the same order. `keep`
        stores the features that are made, where the project stores features."""
        wanted = frame.filter(pl.col("image_hash").is_not_null() | (pl.col("title").fill_null("") != ""))
        if labelled:
            known = np.any(codes_of(self._project, wanted) >= 0, axis=1)
            wanted = wanted.filter(pl.Series(known, dtype=pl.Boolean))
        features = self._stored(wanted["input_hash"])
        missing = wanted.join(features, on="input_hash", how="anti").unique("input_hash", maintain_order=True)
        self.stored, self.made = self.stored + features.height, self.made + missing.height
        if missing.height:
            features = pl.concat([features, *self._made(missing, keep=keep)])
        found = wanted.join(features, on="input_hash", how="inner", maintain_order="left")
        image_out, title_out, image_embedding, title_embedding = unpacked(found["features"])
        return found, EncodedListings(
            image_out,
            title_out,
            image_embedding,
            title_embedding,
            present=found.select("has_picture", "has_title").to_numpy(),
            labels=codes_of(self._project, found),
            feeds=found["feed"].to_numpy().astype(str),
            products=products_of(found),
        )

    def _stored(self, hashes: pl.Series) -> pl.DataFrame:
        parts = [pl.DataFrame(schema=KEPT)]
        if self._store:
            wanted = self._store.index().filter(pl.col("input_hash").is_in(hashes.implode()))
            for (file,), of_file in wanted.group_by("file"):
                with suppress(DamagedFile):  # they are made again
                    rows = read_features(self._store.folder / str(file))
                    parts.append(rows.filter(pl.col("input_hash").is_in(of_file["input_hash"].implode())))
        return pl.concat(parts).select(_FEATURES)

    def _made(self, missing: pl.DataFrame, *, keep: bool) -> Iterator[pl.DataFrame]:
        if self._tagger is None:
            self._tagger = Tagger(self._model, *self._model.open_engine(self._engine, threads=cores()))
        tagger = self._tagger

        def one(part: pl.DataFrame) -> pl.DataFrame:
            pictured = part.filter(pl.col("image_hash").is_not_null())
            jpegs = self._project.shards.read(dict(pictured.select("image_hash", "shard").iter_rows()))
            pictures = pl.Series("picture", [jpegs.get(key) for key in part["image_hash"]], pl.Binary)
            encoded = tagger.encode(part.with_columns(pictures).select(WORK.names()))
            if keep and self._store:
                write_features(self._store.folder / f"labelled-{uuid.uuid4().hex}.parquet", encoded)
            return encoded.filter(pl.col("features").is_not_null()).select(_FEATURES)

        # While one part is in the engine, pictures of the other are decoded.
        with bar("encode", missing.height) as advance, ThreadPoolExecutor(2) as pool:
            for made in pool.map(one, missing.iter_slices(_ROWS)):
                advance(made.height)
                yield made


def under_other_titles(
    encoder: Encoder, frame: pl.DataFrame, listings: EncodedListings, another: np.ndarray
) -> EncodedListings:
    """The listings that `Encoder.encode` returned with `frame`, each under the title of the listing at `another`;
    unchanged where one of the two lacks picture or title."""
    both = np.logical_and(*listings.present.T)
    both &= both[another]
    rows = np.flatnonzero(both)
    pairs = frame[rows].with_columns(
        frame["title"][another[rows]], input_hash=pl.Series([f"swapped-{row}" for row in rows], dtype=pl.String)
    )
    arrays = listings.arrays()
    for name, encoded in encoder.encode(pairs)[1].features._asdict().items():
        arrays[name] = arrays[name].copy()
        arrays[name][rows] = encoded
    return EncodedListings(**arrays)
