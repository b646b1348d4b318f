"""Whether a new model may take the champion's place: both on the same held-out listings, tested in pairs.

The candidate has to show that it is not worse. Over products drawn with replacement (a paired bootstrap), its accuracy
and its recall at the target precision, each a mean over attributes, must with confidence lose less than a margin
(non-inferiority); and of no single attribute may McNemar's exact test (1947) say that it is worse.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Shaped
from pydantic import computed_field
from scipy.stats import binomtest

from models.evaluation.intervals import product_weights
from models.evaluation.metrics import each_once, recall_at_precision

RESAMPLES = 2000


@dataclass(frozen=True)
class Answers:
    """What a model says of one attribute of N listings: its calibrated confidence, and whether it is right."""

    confidence: Float[np.ndarray, " N"]
    right: Bool[np.ndarray, " N"]

    def take(self, rows: Bool[np.ndarray, " N"]) -> "Answers":
        """The answers where this mask is true."""
        return Answers(self.confidence[rows], self.right[rows])


@dataclass(frozen=True)
class AttributeComparison:
    """On the listings that are labelled with it; recalls are at the target precision, each at its own best threshold.

    `only_champion` and `only_candidate` listings are tagged right by one model alone. `p_worse`: how likely so many of
    them would be the champion's if the candidate were as good (McNemar's exact test, one-sided).
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
    """Candidate − champion, a mean over attributes; with confidence it is not below `lowest`."""

    mean: float
    lowest: float


@dataclass(frozen=True)
class Comparison:
    """Of two models on the same `products`."""

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
        """Why the candidate may not take the champion's place; none: it may."""
        found = [
            f"{what} may be {-difference.lowest:.1%} lower (at {self.confidence:.0%} confidence), where "
            f"{self.margin:.1%} is allowed"
            for what, difference in (
                ("accuracy", self.accuracy),
                (f"recall at {self.target_precision:.0%} precision", self.recall),
            )
            if difference.lowest < -self.margin
        ]
        # Bonferroni's share for each attribute: one of many is soon worse by chance.
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
    """Answers by attribute, of the same N listings in the same order; each attribute has at least one labelled listing.

    All listings of a drawn product come with it: they are not independent of each other.
    """
    attributes = {
        name: _compare_attribute(champion[name].take(known), candidate[name].take(known), target_precision)
        for name, known in labelled.items()
    }
    accuracy, recall = [], []
    for weights in product_weights(products, resamples=RESAMPLES):
        gains = [
            _gains(champion[name], candidate[name], weights * known, target_precision)
            for name, known in labelled.items()
        ]
        accuracy.append(np.mean([gain for gain, _ in gains], axis=0))
        recall.append(np.mean([gain for _, gain in gains], axis=0))
    risk = 1 - confidence
    results = list(attributes.values())
    return Comparison(
        attributes=attributes,
        accuracy=Difference(
            float(np.mean([result.candidate_accuracy - result.champion_accuracy for result in results])),
            float(np.nanquantile(np.concatenate(accuracy), risk)),
        ),
        recall=Difference(
            float(np.mean([result.candidate_recall - result.champion_recall for result in results])),
            float(np.nanquantile(np.concatenate(recall), risk)),
        ),
        products=len(np.unique(products)),
        target_precision=target_precision,
        confidence=confidence,
        margin=margin,
    )


def p_worse(only_champion: int, only_candidate: int) -> float:
    """McNemar's exact test, one-sided: were both as good, each of these listings would be either's with equal odds."""
    different = only_champion + only_candidate
    return float(binomtest(only_champion, different, alternative="greater").pvalue) if different else 1.0


def _compare_attribute(champion: Answers, candidate: Answers, target: float) -> AttributeComparison:
    only_champion = int((champion.right & ~candidate.right).sum())
    only_candidate = int((candidate.right & ~champion.right).sum())
    return AttributeComparison(
        listings=len(champion.right),
        champion_accuracy=float(champion.right.mean()),
        candidate_accuracy=float(candidate.right.mean()),
        champion_recall=_recall(champion, target),
        candidate_recall=_recall(candidate, target),
        only_champion=only_champion,
        only_candidate=only_candidate,
        p_worse=p_worse(only_champion, only_candidate),
    )


def _recall(answers: Answers, target: float) -> float:
    once = each_once(len(answers.right))
    return float(recall_at_precision(answers.confidence, answers.right, once, target)[0])


def _gains(
    champion: Answers, candidate: Answers, weights: Float64[np.ndarray, "R N"], target: float
) -> tuple[Float64[np.ndarray, " R"], Float64[np.ndarray, " R"]]:
    """Candidate − champion, accuracy and recall, in each resample; NaN where it holds no labelled listing."""
    with np.errstate(invalid="ignore"):
        accuracy = weights @ (candidate.right.astype(float) - champion.right) / weights.sum(axis=1)
    recalls = [
        recall_at_precision(answers.confidence, answers.right, weights, target) for answers in (champion, candidate)
    ]
    return np.asarray(accuracy), recalls[1] - recalls[0]
