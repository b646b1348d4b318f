"""Tags and noise flags of listings, from their stored features."""

import numpy as np
import polars as pl

from models.engines.features import classify, unpacked
from models.inputs.arrays import Floats, Ints, Names
from models.network.cma_clip import CmaClip
from models.rules.certificates import Certificates
from models.rules.noise.flags import flags_of
from models.rules.noise.rules import NoiseRules
from schemas.attribute import Attribute
from schemas.frames import LABEL_PREFIX, TAGGED
from schemas.taxonomy import Taxonomy


class TagRules:
    """What a model runs after its engine: heads, certificates and noise rules."""

    def __init__(self, network: CmaClip, taxonomy: Taxonomy, noise: NoiseRules, certificates: Certificates) -> None:
        self._network = network
        self._taxonomy = taxonomy
        self._noise = noise
        self._certificates = certificates

    def tag(self, encoded: pl.DataFrame) -> pl.DataFrame:
        """An ENCODED frame → a TAGGED frame of the same listings, same order (see `schemas.frames`). A listing with
        an `error` has no tags."""
        keys = encoded.select(
            *("feed", "listing_id", "input_hash", "fingerprint", "error"),
            certificate=self._certificate_of(encoded["feed"]),
            code=pl.when(pl.col("error").is_not_null()).then(pl.lit("tag_failed")),
        )
        readable = encoded["error"].is_null()
        listings = encoded.filter(readable)
        if listings.is_empty():
            return _without_tags(keys)
        present = listings.select("has_picture", "has_title").to_numpy()
        predictions = classify(self._network, unpacked(listings["features"]), present)
        feeds = listings["feed"].to_numpy()
        probabilities = [
            self._certificates.probabilities(name, logits, feeds)
            for name, logits in zip(self._taxonomy.names, predictions.logits, strict=True)
        ]
        tagged = keys.filter(readable).with_columns(
            tags=self._tags(probabilities, predictions.image_weight, feeds),
            flags=flags_of(
                self._noise.inputs(predictions, probabilities, self._labels(listings)),
                self._noise,
                self._taxonomy.attributes,
                has_both=np.logical_and(*present.T),
            ),
        )
        together = pl.concat([tagged.select(TAGGED.names()).cast(TAGGED), _without_tags(keys.filter(~readable))])
        order = np.argsort(np.concatenate([np.flatnonzero(readable), np.flatnonzero(~readable)]))
        return together[order]

    def _labels(self, listings: pl.DataFrame) -> Ints:
        """(N, K) the merchant's labels as classes, −1 for none."""
        codes = [
            attribute.codes(listings[f"{LABEL_PREFIX}{attribute.name}"]) for attribute in self._taxonomy.attributes
        ]
        return np.stack([code.to_numpy() for code in codes], axis=1)

    def _certificate_of(self, feeds: pl.Series) -> pl.Series:
        ids = {feed: self._certificates.id(feed) for feed in feeds.unique()}
        return feeds.replace_strict(ids, return_dtype=pl.String)

    def _tags(self, probabilities: list[Floats], image_weight: Floats, feeds: Names) -> pl.Series:
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


def _without_tags(keys: pl.DataFrame) -> pl.DataFrame:
    nothing = {name: pl.lit([], dtype=TAGGED[name]) for name in ("tags", "flags")}
    return keys.with_columns(**nothing).select(TAGGED.names()).cast(TAGGED)


def _names(attribute: Attribute, scores: Floats) -> pl.Series:
    return pl.Series(np.array(attribute.value_names)[scores.argmax(axis=1)])
