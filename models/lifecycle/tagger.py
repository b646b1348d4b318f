"""The tagger of a worker: turns frames of listings into features, tags and flags."""

from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.engines.features import encode, packed
from models.engines.interface import EngineIdentity, InferenceEngine
from models.engines.table import EngineName
from models.inputs.examples import Examples
from models.lifecycle.model import Model
from models.rules.certificates import Certificates
from schemas.frames import ENCODED, LABEL_PREFIX


class Tagger:
    """A model with its engine. Load it once a process: it keeps no state between calls, so threads may share it. As
    many threads as the engine has streams run the engine; others decode pictures."""

    def __init__(self, model: Model, engine: InferenceEngine, certificates: Certificates) -> None:
        self._image_size = model.card.image_size
        self._engine = engine
        self._rules = model.tag_rules(certificates)
        self._processor = model.processor()
        self._engine_is_free = Semaphore(engine.streams)

    @classmethod
    def load(cls, folder: Path, *, engine: EngineName, threads: int) -> "Tagger":
        """The tagger of the model in `folder`, with the engine that `cma compile` built for it."""
        model = Model.open(folder)
        return cls(model, *model.open_engine(engine, threads=threads))

    @property
    def identity(self) -> EngineIdentity:
        """The identity of the engine."""
        return self._engine.identity

    def tag(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → a TAGGED frame of the same listings in the same order (see `schemas.frames`)."""
        return self.tag_encoded(self.encode(work))

    def tag_encoded(self, encoded: pl.DataFrame) -> pl.DataFrame:
        """An ENCODED frame → a TAGGED frame of the same listings in the same order."""
        return self._rules.tag(encoded)

    def encode(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → an ENCODED frame of the same listings in the same order; the same input is encoded once. A
        listing whose picture cannot be decoded, or that has neither picture nor title, has `error` set and no
        features."""
        inputs = work.unique("input_hash", keep="first", maintain_order=True)
        examples, errors = self.examples(inputs)
        made = iter(self._features(examples) if len(examples) else ())
        encoded = inputs.select(
            "input_hash",
            has_picture=pl.col("picture").is_not_null(),
            has_title=pl.col("title").fill_null("") != "",
            features=pl.Series([None if error else next(made) for error in errors], dtype=pl.Binary),
            error=pl.Series(errors, dtype=pl.String),
        )
        labels = [name for name in work.columns if name.startswith(LABEL_PREFIX)]
        listings = work.select("feed", "listing_id", "input_hash", "fingerprint", *labels)
        return listings.join(encoded, on="input_hash", maintain_order="left").select(*ENCODED.names(), *labels)

    def _features(self, examples: Examples) -> pl.Series:
        with self._engine_is_free:
            return packed(encode(self._engine, examples))

    def examples(self, work: pl.DataFrame) -> tuple[Examples, list[str | None]]:
        """The arrays of those listings of a WORK frame that can be read; and, for each listing of the frame, why it
        cannot be read (None: it can)."""
        pictures, errors = [], []
        blank = np.zeros((*self._image_size, 3), dtype=np.uint8)
        for picture, error in self._decode(work):
            errors.append(error)
            if error is None:
                pictures.append(blank if picture is None else picture)
        readable = np.array([error is None for error in errors], dtype=bool)
        listings = work.filter(readable)
        titles = listings["title"].fill_null("")
        examples = Examples(
            pictures=np.stack(pictures) if pictures else np.zeros((0, *blank.shape), dtype=np.uint8),
            tokens=self._processor.tokens(titles.to_list()),
            present=np.stack([listings["picture"].is_not_null(), titles != ""], axis=1),
            labels=np.zeros((listings.height, 0), dtype=np.int64),
            feeds=listings["feed"].to_numpy(),
            products=listings["listing_id"].to_numpy(),
        )
        return examples, errors

    def _decode(self, work: pl.DataFrame) -> Iterator[tuple[NDArray[np.uint8] | None, str | None]]:
        """The picture of each listing, if it has one; and why the listing cannot be read (None: it can)."""
        for jpeg, title in zip(work["picture"], work["title"], strict=True):
            try:
                if jpeg is not None:
                    yield self._processor.picture(jpeg), None
                else:
                    yield None, None if title else "the listing has neither a picture nor a title"
            except (OSError, ValueError, SyntaxError) as trouble:  # all that Pillow raises for damaged bytes
                yield None, f"the stored picture cannot be decoded ({trouble})"
