"""Scores that picture and title do not belong together, on test listings of which some were swapped."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float
from sklearn.metrics import average_precision_score, roc_auc_score

from models.engines.interface import Predictions
from models.experiments.swapped_listings import Condition
from models.inputs.examples import Examples, other_rows
from models.rules.calibration import value_probabilities
from models.rules.noise.fit import fit_noise_rules
from models.rules.noise.kinds import KINDS
from models.rules.noise.mismatch import Mismatch

SCORES = ("noise rule", "matching head", "cosine")


def mismatch_scores(
    predict: Callable[[Examples], Predictions], validation: Examples, shown: Mapping[Condition, Predictions]
) -> dict[Condition, Float[np.ndarray, "N 3"]]:
    """The `SCORES` of the test listings under each condition, the higher the likelier a mismatch: the noise rule,
    fitted on `validation` as training does, the matching head and the cosine of the towers. All validation listings
    have picture and title."""
    clean, swapped = predict(validation), predict(validation.with_titles_of(other_rows(len(validation))))
    rules = fit_noise_rules(clean, swapped, _tags(clean), validation.labels, np.logical_and(*validation.present.T))
    rule, found = KINDS[Mismatch.name], {}
    for condition, predictions in shown.items():
        unlabelled = np.full((len(predictions.match), len(predictions.logits)), -1)
        inputs = rules.inputs(predictions, _tags(predictions), unlabelled)
        ((_, by_rule),) = rule.scores(inputs, rules)
        found[condition] = np.stack([by_rule, -predictions.match, -predictions.similarity], axis=1).astype(np.float32)
    return found


def detection(scores: Float[np.ndarray, " N"], swapped: Bool[np.ndarray, " N"]) -> dict[str, float]:
    """AUROC and average precision with which a score finds the swapped listings."""
    return {
        "auroc": float(roc_auc_score(swapped, scores)),
        "average_precision": float(average_precision_score(swapped, scores)),
    }


def _tags(predictions: Predictions) -> list[np.ndarray]:
    """Probabilities that no mismatch score depends on, but `fit_noise_rules` needs for the other kinds."""
    return [value_probabilities(task) for task in predictions.logits]
