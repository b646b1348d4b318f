"""What a worker holds: a model, its engine and its rules. Partitions of listings in, tags and noise flags out."""

from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.calibration import Certificates, Feeds
from models.card import ModelCard, read_card
from models.checkpoint import load_network
from models.cma_clip import CmaClip
from models.engines import EngineIdentity, InferenceEngine
from models.engines.build import open_engine
from models.engines.card import EngineName
from models.examples import Examples
from models.features import Predictions, classify, encode
from models.noise import conflict_score, label_conflict_score
from schemas.tags import TAGGED
from schemas.taxonomy import Attribute

Floats = NDArray[np.floating]


class Tagger:
    """Load once per process; `tag` keeps nothing between calls."""

    def __init__(self, network: CmaClip, card: ModelCard, engine: InferenceEngine, certificates: Certificates) -> None:
        self._network = network
        self._card = card
        self._engine = engine
        self._certificates = certificates
        self._processor = card.processor()

    @classmethod
    def load(cls, folder: Path, *, engine: EngineName, threads: int) -> Self:
        """A trained model from its folder, with the engine that `cma compile` built for it."""
        card = read_card(folder)
        network = load_network(folder, card)
        return cls(network, card, *open_engine(folder, card, network, engine, threads=threads))

    @property
    def identity(self) -> EngineIdentity:
        """Of the engine that runs."""
        return self._engine.identity

    def tag(self, work: pl.DataFrame) -> pl.DataFrame:
        """A WORK frame → a TAGGED frame of the same listings in the same order (see `schemas.tags`). A listing whose
        picture cannot be decoded, or that has neither picture nor title, has `error` set and no tags."""
        examples, errors = self.examples(work)
        readable = np.array([error is None for error in errors], dtype=bool)
        keys = work.select("feed", "listing_id", "input_hash", certificate=self._certificate_of(work["feed"]))
        broken = keys.with_columns(
            error=pl.Series(errors, dtype=pl.String),
            tags=pl.lit([], dtype=TAGGED["tags"]),
            flags=pl.lit([], dtype=TAGGED["flags"]),
        ).filter(~readable)
        if not readable.any():
            return broken.cast(TAGGED)
        predictions = classify(self._network, encode(self._engine, examples), examples.present)
        probabilities = [
            self._certificates.probabilities(name, logits, examples.feeds)
            for name, logits in zip(self._card.taxonomy.names, predictions.logits, strict=True)
        ]
        tagged = keys.filter(readable).with_columns(
            error=pl.lit(None, dtype=pl.String),
            tags=self._tags(probabilities, predictions.image_weight, examples.feeds),
            flags=self._flags(probabilities, predictions, work.filter(readable), np.logical_and(*examples.present.T)),
        )
        together = pl.concat([tagged.cast(TAGGED), broken.cast(TAGGED)])
        order = np.argsort(np.concatenate([np.flatnonzero(readable), np.flatnonzero(~readable)]))
        return together[order]

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
            present=np.stack([listings["picture"].is_not_null(), titles.str.len_bytes() > 0], axis=1),
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

    def _certificate_of(self, feeds: pl.Series) -> pl.Series:
        ids = {feed: self._certificates.id(feed) for feed in feeds.unique()}
        return feeds.replace_strict(ids, return_dtype=pl.String)

    def _tags(self, probabilities: list[Floats], image_weight: Floats, feeds: Feeds) -> pl.Series:
        structs = []
        for k, attribute in enumerate(self._card.taxonomy.attributes):
            name, scores = attribute.name, probabilities[k]
            structs.append(
                pl.DataFrame(
                    {
                        "attribute": [name] * len(scores),
                        "value": _names(attribute, scores),
                        "confidence": scores.max(axis=1),
                        "accepted": self._certificates.accepted(name, scores, feeds),
                        "certified": self._certificates.certified(name, feeds),
                        "provisional": self._certificates.provisional(name, scores, feeds),
                        "image_weight": image_weight[:, k],
                    }
                ).to_struct(name)
            )
        return pl.DataFrame(structs).select(pl.concat_list(pl.all())).to_series()

    def _flags(
        self, probabilities: list[Floats], predictions: Predictions, listings: pl.DataFrame, both: NDArray[np.bool_]
    ) -> pl.Series:
        """Every score at or above its kind's threshold."""
        rules, attributes = self._card.noise, self._card.taxonomy.attributes
        alone = rules.alone(predictions)
        found: list[pl.Series] = []
        conflicts, says = [], []
        for k, attribute in enumerate(attributes):
            image, title = alone.image[k], alone.title[k]
            conflicts.append(conflict_score(image, title) * both)
            said = _say("picture says {}, title says {}", _names(attribute, image), _names(attribute, title))
            says.append(said)
            found.append(_flag("modality_conflict", attribute.name, conflicts[-1], said))
            label = listings[f"label_{attribute.name}"]
            score = label_conflict_score(probabilities[k], attribute.codes(label).to_numpy())
            said = _say("labelled {}, tagged {}", label.fill_null("-"), _names(attribute, probabilities[k]))
            found.append(_flag("label_conflict", attribute.name, score, said))
        worst = np.stack(conflicts).argmax(axis=0)
        said = pl.Series(
            [f"{attributes[k].name}: {says[k][row]}" if conflicts[k][row] else "" for row, k in enumerate(worst)],
            dtype=pl.String,
        )
        found.append(_flag("mismatch", None, rules.mismatch_score(alone) * both, said))
        flags = pl.DataFrame(found).select(pl.concat_list(pl.all()).alias("flags"))
        threshold = pl.element().struct.field("kind").replace_strict(rules.thresholds, return_dtype=pl.Float64)
        return flags.select(
            pl.col("flags").list.filter(pl.element().struct.field("score") >= threshold.clip(lower_bound=1e-6))
        ).to_series()


def _flag(kind: str, attribute: str | None, score: Floats, detail: pl.Series) -> pl.Series:
    """One struct a listing; named so that the columns of one frame differ."""
    return (
        pl.DataFrame({"score": np.asarray(score, dtype=np.float32), "detail": detail})
        .select(pl.lit(kind).alias("kind"), pl.lit(attribute, pl.String).alias("attribute"), "score", "detail")
        .to_struct(f"{kind} {attribute}")
    )


def _say(form: str, *values: pl.Series) -> pl.Series:
    return pl.select(pl.format(form, *(pl.lit(value) for value in values))).to_series()


def _names(attribute: Attribute, scores: Floats) -> pl.Series:
    return pl.Series(np.array(attribute.value_names)[scores.argmax(axis=1)])
