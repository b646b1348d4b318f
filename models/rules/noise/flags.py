"""Noise flags of listings: every score that reaches its kind's threshold."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from jaxtyping import Bool

from models.rules.noise.kinds import KINDS
from models.rules.noise.rules import NoiseInputs, NoiseRules
from schemas.attribute import Attribute
from schemas.frames import FLAG, TAGGED

_LEAST_SCORE = 1e-6  # a score of 0 is no evidence, and never flagged


def flags_of(
    inputs: NoiseInputs, rules: NoiseRules, attributes: Sequence[Attribute], has_both: Bool[np.ndarray, " N"]
) -> pl.Series:
    """N lists of FLAG structs, the kinds in the order of `KINDS`. `has_both`: the listing has a picture and a title. A
    kind that the rules have no threshold for flags nothing."""
    found = [pl.DataFrame(schema={"row": pl.UInt32, **FLAG.to_schema()})]
    for name, kind in KINDS.items():
        threshold = max(rules.thresholds.get(name, np.inf), _LEAST_SCORE)
        for k, scores in kind.scores(inputs, rules):
            stored = scores.astype(np.float32)  # as the catalogue keeps them
            rows = np.flatnonzero((stored.astype(np.float64) >= threshold) & (has_both | (not kind.needs_both)))
            found.append(
                pl.DataFrame(
                    {
                        "row": rows,
                        "kind": name,
                        "attribute": None if k is None else attributes[k].name,
                        "score": stored[rows],
                        "detail": list(kind.details(inputs, attributes, k, rows)),
                    },
                    schema=found[0].schema,
                )
            )
    flags = pl.concat(found).group_by("row").agg(flags=pl.struct(*FLAG.to_schema()))
    listings = pl.DataFrame({"row": np.arange(len(has_both), dtype=np.uint32)})
    joined = listings.join(flags, on="row", how="left", maintain_order="left")
    return joined.select(pl.coalesce("flags", pl.lit([], dtype=TAGGED["flags"]))).to_series()
