"""λ, the weight of the picture, by feed and attribute: of clean and of swapped listings, and by what the title says."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.experiments.outcomes import Outcome
from models.experiments.scores import Outcomes, Spread
from models.experiments.splits import Compared
from models.experiments.swapped_listings import CONDITIONS, Condition, is_swapped
from models.inputs.arrays import Bools

FEWEST = 10  # listings over which λ is averaged
NAMED, NOT_NAMED = "title names the value", "title does not"
_KINDS = (*CONDITIONS, NAMED, NOT_NAMED)

ImageWeights = dict[str, dict[str, dict[str, Spread]]]  # by feed, attribute and kind of listing (`_KINDS`)


def image_weights(outcomes: Outcomes, test: Compared, attributes: Sequence[str]) -> ImageWeights:
    """By feed, attribute and kind of listing: the mean λ of the feed's listings (clean), of its swapped ones, and of
    the clean ones whose title does, or does not, name the value of the label. Kinds with too few listings are left
    out."""
    found: ImageWeights = {}
    for feed in np.unique(test.feeds).tolist():
        found[feed] = {name: {} for name in attributes}
        for k, name in enumerate(attributes):
            for kind in _KINDS:
                means = [
                    float(outcome.image_weight[condition][chosen, k].mean())
                    for condition, chosen, outcome in _chosen(outcomes, test, kind, feed, k)
                    if chosen.sum() >= FEWEST
                ]
                if len(means) == len(outcomes):
                    found[feed][name][kind] = Spread.of(means)
    return found


def _chosen(
    outcomes: Outcomes, test: Compared, kind: str, feed: str, k: int
) -> Iterator[tuple[Condition, Bools, Outcome]]:
    """For each seed, the condition and the listings that a kind means."""
    of_feed, named = test.feeds == feed, test.named[:, k]
    for seed, outcome in outcomes.items():
        if kind in (NAMED, NOT_NAMED):
            yield "clean", of_feed & test.inside[:, k] & (named if kind == NAMED else ~named), outcome
        else:
            condition = next(of for of in CONDITIONS if of == kind)
            swapped = is_swapped(test.products, test.feeds, condition, seed=seed)
            yield condition, of_feed & (swapped if condition != "clean" else True), outcome
