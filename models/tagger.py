"""What a worker holds: a model, its engine and its rules. Partitions of listings in, features, tags and flags out."""

from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.card import ModelCard, read_card
from models.checkpoint import load_network
from models.engines import EngineIdentity, InferenceEngine
from models.engines.build import open_engine
from models.engines.card import EngineName
from models.examples import Examples
from models.features import encode
from models.kept import packed
from models.tag_rules import TagRules
from schemas.tags import ENCODED, LABEL_PREFIX


class Tagger:
    """Load once per process; it keeps nothing between calls. Threads may share it: the engine runs for one at a time,
    while others decode pictures."""

    def __init__(self, card: ModelCard, engine: InferenceEngine, rules: TagRules) -> None:
        self._card = card
        self._engine = engine
        self._rules = rules
        self._processor = card.processor()
        self._engine_is_free = Lock()

    @classmethod
    def load(cls, folder: Path, *, engine: EngineName, threads: int) -> Self:
        """A trained model from its folder, with the engine that `cma compile` built for it."""
        card = read_card(folder)
        network = load_network(folder, card)
        opened, certificates = open_engine(folder, card, network, engine, threads=threads)
        return cls(card, opened, TagRules(network, card, certificates))

    @property
    def identity(self) -> EngineIdentity:
        """Of the engine that runs."""
        return self._engine.identity

    def tag(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → a TAGGED frame of the same listings in the same order (see `schemas.tags`)."""
        return self.tag_encoded(self.encode(work))

    def tag_encoded(self, encoded: pl.DataFrame) -> pl.DataFrame:
        """The second half of `tag`."""
        return self._rules.tag(encoded)

    def encode(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → an ENCODED frame of the same listings in the same order. A listing whose picture cannot be
        decoded, or that has neither picture nor title, has `error` set and no features."""
        examples, errors = self.examples(work)
        made = iter(self._features(examples) if len(examples) else ())
        labels = [name for name in work.columns if name.startswith(LABEL_PREFIX)]
        return work.with_columns(
            has_picture=pl.col("picture").is_not_null(),
            has_title=pl.col("title").fill_null("") != "",
            features=pl.Series([None if error else next(made) for error in errors], dtype=pl.Binary),
            error=pl.Series(errors, dtype=pl.String),
        ).select(*ENCODED.names(), *labels)

    def _features(self, examples: Examples) -> pl.Series:
        with self._engine_is_free:
            return packed(encode(self._engine, examples))

    def examples(self, work: pl.DataFrame) -> tuple[Examples, list[str | None]]:
        """The listings of a WORK frame that can be read, as the network reads them; and what is wrong with each (None:
        it can be read)."""
        pictures, errors = self._decode(work)
        readable = np.array([error is None for error in errors], dtype=bool)
        listings = work.filter(readable)
        titles = listings["title"].fill_null("")
        examples = Examples(
            pictures=pictures[readable],
            tokens=self._processor.tokens(titles.to_list()),
            present=np.stack([listings["picture"].is_not_null(), titles != ""], axis=1),
            labels=np.zeros((listings.height, 0), dtype=np.int64),
            feeds=listings["feed"].to_numpy(),
            products=listings["listing_id"].to_numpy(),
        )
        return examples, errors

    def _decode(self, work: pl.DataFrame) -> tuple[NDArray[np.uint8], list[str | None]]:
        pictures = np.zeros((work.height, *self._card.image_size, 3), dtype=np.uint8)
        errors: list[str | None] = []
        for row, (picture, title) in enumerate(zip(work["picture"], work["title"], strict=True)):
            error = None
            try:
                if picture is not None:
                    pictures[row] = self._processor.picture(picture)
                elif not title:
                    error = "the listing has neither a picture nor a title"
            except (OSError, ValueError, SyntaxError) as trouble:  # all that Pillow raises for damaged bytes
                error = f"the stored picture cannot be decoded ({trouble})"
            errors.append(error)
        return pictures, errors
