"""What becomes of features: heads, certificates and rules for noise turn them into tags and flags."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.engines.features import classify, unpacked
from models.engines.interface import Predictions
from models.network.cma_clip import CmaClip
from models.rules.certificates import Certificates, Feeds
from models.rules.noise import NoiseRules, conflict_score, label_conflict_score
from schemas.frames import TAGGED
from schemas.taxonomy import Attribute, Taxonomy

Floats = NDArray[np.floating]


class TagRules:
    """All of a model that runs after its engine. No picture is needed, nor an engine."""

    def __init__(self, network: CmaClip, taxonomy: Taxonomy, noise: NoiseRules, certificates: Certificates) -> None:
        self._network = network
        self._taxonomy = taxonomy
        self._noise = noise
        self._certificates = certificates

    def tag(self, encoded: pl.DataFrame) -> pl.DataFrame:
        """An ENCODED frame → a TAGGED frame of the same listings, same order (see `schemas.frames`). A listing with
        an `error` has no tags."""
        keys = encoded.select(
            "feed", "listing_id", "input_hash", "error", certificate=self._certificate_of(encoded["feed"])
        )
        readable = encoded["error"].is_null()
        listings = encoded.filter(readable)
        if listings.is_empty():
            return _without_tags(keys)
        present = listings.select("has_picture", "has_title").to_numpy()
        both = np.logical_and(*present.T)
        predictions = classify(self._network, unpacked(listings["features"]), present)
        feeds = listings["feed"].to_numpy()
        probabilities = [
            self._certificates.probabilities(name, logits, feeds)
            for name, logits in zip(self._taxonomy.names, predictions.logits, strict=True)
        ]
        tagged = keys.filter(readable).with_columns(
            tags=self._tags(probabilities, predictions.image_weight, feeds),
            flags=self._flags(probabilities, predictions, listings, both),
        )
        together = pl.concat([tagged.select(TAGGED.names()).cast(TAGGED), _without_tags(keys.filter(~readable))])
        order = np.argsort(np.concatenate([np.flatnonzero(readable), np.flatnonzero(~readable)]))
        return together[order]

    def _certificate_of(self, feeds: pl.Series) -> pl.Series:
        ids = {feed: self._certificates.id(feed) for feed in feeds.unique()}
        return feeds.replace_strict(ids, return_dtype=pl.String)

    def _tags(self, probabilities: list[Floats], image_weight: Floats, feeds: Feeds) -> pl.Series:
        structs = []
        for k, attribute in enumerate(self._taxonomy.attributes):
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
        rules, attributes = self._noise, self._taxonomy.attributes
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


def _without_tags(keys: pl.DataFrame) -> pl.DataFrame:
    nothing = {name: pl.lit([], dtype=TAGGED[name]) for name in ("tags", "flags")}
    return keys.with_columns(**nothing).select(TAGGED.names()).cast(TAGGED)


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
