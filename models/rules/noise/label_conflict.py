"""The merchant's label contradicts the tag (confident learning, Northcutt et al. 2021)."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from models.inputs.arrays import Floats, Ints
from models.rules.noise.kind import Measured, Trial
from models.rules.noise.rules import NoiseInputs, NoiseRules
from schemas.attribute import Attribute


class LabelConflict:
    """Scored for each attribute by `label_conflict_score`; measured on labels that are replaced by random others."""

    name = "label_conflict"
    title = "The label contradicts the tag"
    explanation = "The model is confident of another value than the merchant's label."
    needs_both = False

    def scores(self, inputs: NoiseInputs, rules: NoiseRules) -> Iterator[tuple[int, Float[np.ndarray, " N"]]]:
        for k, probabilities in enumerate(inputs.tags):
            yield k, label_conflict_score(probabilities, inputs.labels[:, k])

    def details(
        self,
        inputs: NoiseInputs,
        attributes: Sequence[Attribute],
        attribute: int | None,
        rows: Int[np.ndarray, " R"],
    ) -> Iterator[str]:
        assert attribute is not None
        values = attributes[attribute].value_names
        labels, tags = inputs.labels[rows, attribute], inputs.tags[attribute][rows].argmax(axis=1)
        for label, tag in zip(labels, tags, strict=True):
            yield f"labelled {values[label]}, tagged {values[tag]}"

    def measure(self, trial: Trial, rules: NoiseRules) -> Iterator[Measured]:
        for k, probabilities in enumerate(trial.clean.tags):
            values = probabilities.shape[1]
            labelled = np.flatnonzero((trial.clean.labels[:, k] >= 0) & (trial.clean.labels[:, k] < values))
            labels = trial.clean.labels[labelled, k]
            wrong = (labels + trial.generator.integers(1, values, len(labelled))) % values
            yield Measured(*(label_conflict_score(probabilities[labelled], given) for given in (labels, wrong)))


def label_conflict_score(probabilities: Floats, labels: Ints) -> Floats:
    """(N,) confidence of the tag, from (N, C) probabilities, minus that of the merchant's label; 0 where they agree or
    the label names no value (−1: there is none; C: it says none of the values)."""
    values = probabilities.shape[1]
    named = (labels >= 0) & (labels < values)
    of_label = probabilities[np.arange(len(labels)), np.where(named, labels, 0)]
    return np.where(named, probabilities.max(1) - of_label, 0.0)
