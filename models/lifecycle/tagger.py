"""What a worker holds: a model, its engine and its rules. Partitions of listings in, features, tags and flags out."""

from collections.abc import Iterator
from pathlib import Path
from threading import Semaphore

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.engines.features import encode, packed
from models.engines.interface import EngineIdentity, InferenceEngine
from models.inputs.examples import Examples
from models.lifecycle.card import ModelCard, read_card
from models.lifecycle.compile import open_engine
from models.lifecycle.engine_card import EngineName, certificates_on
from models.lifecycle.weights import load_network
from models.rules.tags import TagRules
from schemas.frames import ENCODED, LABEL_PREFIX


class Tagger:
    """Load once per process; it keeps nothing between calls. Threads may share it: some decode pictures while others
    are in the engine, as many as it takes."""

    def __init__(self, card: ModelCard, engine: InferenceEngine, rules: TagRules) -> None:
        self._card = card
        self._engine = engine
        self._rules = rules
        self._processor = card.processor()
        self._engine_is_free = Semaphore(engine.streams)

    @classmethod
    def load(cls, folder: Path, *, engine: EngineName, threads: int) -> "Tagger":
        """A trained model from its folder, with the engine that `cma compile` built for it."""
        card = read_card(folder)
        network = load_network(folder, card)
        opened, certificates = open_engine(folder, card, network, engine, threads=threads)
        return cls(card, opened, TagRules(network, card.taxonomy, card.noise, certificates))

    @property
    def identity(self) -> EngineIdentity:
        """Of the engine that runs."""
        return self._engine.identity

    def tag(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → a TAGGED frame of the same listings in the same order (see `schemas.frames`)."""
        return self.tag_encoded(self.encode(work))

    def tag_encoded(self, encoded: pl.DataFrame) -> pl.DataFrame:
        """The second half of `tag`."""
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
        listings = work.select("feed", "listing_id", "input_hash", *labels)
        return listings.join(encoded, on="input_hash", maintain_order="left").select(*ENCODED.names(), *labels)

    def _features(self, examples: Examples) -> pl.Series:
        with self._engine_is_free:
            return packed(encode(self._engine, examples))

    def examples(self, work: pl.DataFrame) -> tuple[Examples, list[str | None]]:
        """The listings of a WORK frame that can be read, as the network reads them; and what is wrong with each (None:
        it can be read)."""
        pictures, errors = [], []
        blank = np.zeros((*self._card.image_size, 3), dtype=np.uint8)
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
        """The picture of each listing, if it has one; and what is wrong with the listing, if anything is."""
        for jpeg, title in zip(work["picture"], work["title"], strict=True):
            try:
                if jpeg is not None:
                    yield self._processor.picture(jpeg), None
                else:
                    yield None, None if title else "the listing has neither a picture nor a title"
            except (OSError, ValueError, SyntaxError) as trouble:  # all that Pillow raises for damaged bytes
                yield None, f"the stored picture cannot be decoded ({trouble})"


def load_rules(folder: Path, backend: str) -> TagRules:
    """The heads, certificates and noise rules of a trained model, as certified on this backend; no engine is opened."""
    card = read_card(folder)
    network = load_network(folder, card)
    return TagRules(network, card.taxonomy, card.noise, certificates_on(folder, card, backend))
