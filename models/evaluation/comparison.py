"""Tests whether a candidate is not worse than the champion, on the same held-out listings.

Non-inferiority: with the wanted confidence, by a paired bootstrap over products, accuracy and recall at the target
precision (means over attributes) lose less than a margin. And for no attribute does McNemar's exact test (1947) find
the candidate worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from pydantic import computed_field
from scipy.stats import binomtest

from models.evaluation.intervals import product_weights
from models.evaluation.metrics import each_once, mean, recall_at_precision
from models.inputs.arrays import ListingArrays

RESAMPLES = 2000


@dataclass(frozen=True)
class Answers(ListingArrays):
    """A model's tags of N listings for one attribute: their calibrated confidences, and whether they are right.
    `inside` marks the listings whose label is a value; every tag of the others is wrong."""

    confidence: Float[np.ndarray, " N"]
    right: Bool[np.ndarray, " N"]
    inside: Bool[np.ndarray, " N"]


@dataclass(frozen=True)
class AttributeComparison:
    """Two models on the listings labelled with one attribute. Recalls are at the target precision, each at its model's
    best threshold. Accuracy and recall are of the listings whose label is a value, precision of all `listings`.

    `only_champion` and `only_candidate` count the listings that one model alone tags right. `p_worse` is the p-value of
    McNemar's exact test, one-sided: small if the candidate is worse.
    """

    listings: int
    champion_accuracy: float
    candidate_accuracy: float
    champion_recall: float
    candidate_recall: float
    only_champion: int
    only_candidate: int
    p_worse: float


@dataclass(frozen=True)
class Difference:
    """Candidate − champion, a mean over attributes, and its lower confidence bound."""

    mean: float
    lowest: float


@dataclass(frozen=True)
class Comparison:
    """Two models on the same `products`; differences are candidate − champion."""

    attributes: dict[str, AttributeComparison]
    accuracy: Difference
    recall: Difference
    products: int
    target_precision: float
    confidence: float
    margin: float

    @computed_field  # type: ignore[prop-decorator]
    @property
    def objections(self) -> list[str]:
        """The reasons against the candidate, as sentences; none if it may take the champion's place."""
        found = [
            f"{what} may be {-difference.lowest:.1%} lower (at {self.confidence:.0%} confidence), where "
            f"{self.margin:.1%} is allowed"
            for what, difference in (
                ("accuracy", self.accuracy),
                (f"recall at {self.target_precision:.0%} precision", self.recall),
            )
            if difference.lowest < -self.margin
        ]
        # Bonferroni: of many attributes, one is easily worse by chance.
        risk = (1 - self.confidence) / len(self.attributes)
        return found + [
            f"{name} is worse: {result.only_champion} listings only the champion tags right, "
            f"{result.only_candidate} only the new model (p {result.p_worse:.1g})"
            for name, result in self.attributes.items()
            if result.p_worse <= risk
        ]


def compare(
    champion: Mapping[str, Answers],
    candidate: Mapping[str, Answers],
    *,
    labelled: Mapping[str, Bool[np.ndarray, " N"]],
    products: Shaped[np.ndarray, " N"],
    target_precision: float,
    confidence: float,
    margin: float,
) -> Comparison:
    """Compares two models' answers, by attribute, for the same N listings in the same order.

    `labelled` masks the labelled listings of each attribute, at least one of which has a value. The bootstrap draws
    whole products, since listings of one product are not independent.
    """
    attributes = {
        name: _compare_attribute(champion[name].take(known), candidate[name].take(known), target_precision)
        for name, known in labelled.items()
    }
    resamples = [
        np.mean(
            [_gains(champion[k], candidate[k], weights * known, target_precision) for k, known in labelled.items()], 0
        )
        for weights in product_weights(products, resamples=RESAMPLES)
    ]
    lowest_accuracy, lowest_recall = np.nanquantile(np.concatenate(resamples, axis=1), 1 - confidence, axis=1).tolist()
    found = attributes.values()
    return Comparison(
        attributes=attributes,
        accuracy=Difference(
            float(np.mean([each.candidate_accuracy - each.champion_accuracy for each in found])), lowest_accuracy
        ),
        recall=Difference(
            float(np.mean([each.candidate_recall - each.champion_recall for each in found])), lowest_recall
        ),
        products=len(np.unique(products)),
        target_precision=target_precision,
        confidence=confidence,
        margin=margin,
    )


def p_worse(only_champion: int, only_candidate: int) -> float:
    """The p-value of McNemar's exact test, one-sided: were both equally good, each such listing would be a fair
    coin."""
    different = only_champion + only_candidate
    return float(binomtest(only_champion, different, alternative="greater").pvalue) if different else 1.0


def _compare_attribute(champion: Answers, candidate: Answers, target: float) -> AttributeComparison:
    only_champion = int((champion.right & ~candidate.right).sum())
    only_candidate = int((candidate.right & ~champion.right).sum())
    once = each_once(len(champion.right))
    recalls = [_recall(model, once, target)[0] for model in (champion, candidate)]
    accuracies = [mean(model.right, once * model.inside)[0] for model in (champion, candidate)]
    return AttributeComparison(
        listings=len(champion.right),
        champion_accuracy=float(accuracies[0]),
        candidate_accuracy=float(accuracies[1]),
        champion_recall=float(recalls[0]),
        candidate_recall=float(recalls[1]),
        only_champion=only_champion,
        only_candidate=only_candidate,
        p_worse=p_worse(only_champion, only_candidate),
    )


def _gains(
    champion: Answers, candidate: Answers, weights: Float64[np.ndarray, "R N"], target: float
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """Candidate − champion, accuracy and recall, in each resample; NaN where no label in it is a value."""
    accuracy = mean(candidate.right.astype(float) - champion.right, weights * champion.inside)
    recalls = [_recall(model, weights, target) for model in (champion, candidate)]
    return accuracy, recalls[1] - recalls[0]


def _recall(model: Answers, weights: Float64[np.ndarray, "R N"], target: float) -> Float[np.ndarray, " R"]:
    return recall_at_precision(model.confidence, model.right, weights, target, inside=model.inside)
