"""How good a tagger is on labelled listings: the paper's recall at a target precision, and what else is asked."""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import f1_score

from models.rules.calibration import Bools, Floats, Ints, expected_calibration_error
from models.rules.certificates import Certificates
from models.rules.certify import Labelled


@dataclass(frozen=True)
class AttributeMetrics:
    """All shares are of the labelled listings, in [0, 1]; `recall` is right accepted tags over labelled listings."""

    labelled: int
    accuracy: float
    macro_f1: float
    recall_oracle: float  # at the best threshold that these very listings allow
    recall: float  # at the deployed threshold
    precision: float  # of accepted tags
    coverage: float
    ece: float
    top2_accuracy: float  # the label is among the two likeliest values: labels are ambiguous
    brier: float  # squared distance of the probabilities from the label, summed over values: 0 to 2
    aurc: float  # area under the risk–coverage curve: the lower, the better the sure ones are told from the unsure

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def evaluate(probabilities: Floats, labels: Ints, *, accepted: Bools, target_precision: float) -> AttributeMetrics:
    """`probabilities` (N, C) calibrated, `labels` (N,) with −1 for none, `accepted` (N,) what is relied on."""
    known = labels >= 0
    probabilities, labels, accepted = probabilities[known], labels[known], accepted[known]
    if not len(labels):
        return AttributeMetrics(0, *[float("nan")] * 10)
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    right = predicted == labels
    return AttributeMetrics(
        labelled=len(labels),
        accuracy=float(right.mean()),
        macro_f1=float(f1_score(labels, predicted, average="macro", zero_division=0)),
        recall_oracle=recall_at_precision(confidence, right, target_precision),
        recall=float((right & accepted).mean()),
        precision=float(right[accepted].mean()) if accepted.any() else float("nan"),
        coverage=float(accepted.mean()),
        ece=expected_calibration_error(confidence, right),
        top2_accuracy=float(among_two_likeliest(probabilities, labels).mean()),
        brier=float(brier_scores(probabilities, labels).mean()),
        aurc=area_under_risk_coverage(confidence, right),
    )


def recall_at_precision(confidence: Floats, right: Bools, target: float) -> float:
    """The largest share of right accepted predictions over all thresholds whose precision reaches the target."""
    hits, accepted = at_each_threshold(confidence, right, np.ones(len(right)))
    reaches = hits / accepted >= target
    return float(hits[reaches].max() / len(right)) if reaches.any() else 0.0


def area_under_risk_coverage(confidence: Floats, right: Bools) -> float:
    """Of Geifman et al. (2019): the mean, over predictions, of the share of wrong ones among those at least as sure."""
    hits, accepted = at_each_threshold(confidence, right, np.ones(len(right)))
    return float(np.diff(accepted, prepend=0) @ (1 - hits / accepted) / len(right))


def at_each_threshold(confidence: Floats, right: Bools, weights: Floats) -> tuple[Floats, Floats]:
    """(…, T) and (…, T): right predictions, and all, that reach each confidence there is, from the highest down;
    prediction n counts `weights[…, n]` times. A threshold cannot cut through a tie."""
    order = np.argsort(-confidence, kind="stable")
    last_of_tie = np.diff(confidence[order], append=np.nan) != 0
    hits, accepted = (np.cumsum(counts[..., order], axis=-1)[..., last_of_tie] for counts in (weights * right, weights))
    return hits, accepted


def among_two_likeliest(probabilities: Floats, labels: Ints) -> Bools:
    """(N,) whether the label is one of the two values with the highest probabilities."""
    likeliest = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return np.asarray((likeliest == labels[:, None]).any(axis=1))


def brier_scores(probabilities: Floats, labels: Ints) -> Floats:
    """(N,) Σ_c (p_c − y_c)², the multi-class score of Brier (1950)."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return np.asarray((probabilities**2).sum(axis=1) - 2 * of_label + 1)


def metrics_of(test: Labelled, certificates: Certificates) -> dict[str, dict[str, float]]:
    """Per attribute, `AttributeMetrics` as a dictionary."""
    metrics = {}
    for k, name in enumerate(certificates.pooled):
        probabilities = certificates.probabilities(name, test.predictions.logits[k], test.feeds)
        metrics[name] = evaluate(
            probabilities,
            test.labels[:, k],
            accepted=certificates.accepted(name, probabilities, test.feeds),
            target_precision=certificates.promise.target_precision,
        ).to_dict()
    return metrics
