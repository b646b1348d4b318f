"""Picture and title name different values of an attribute."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from models.inputs.arrays import Floats
from models.rules.noise.kind import Measured, Trial
from models.rules.noise.rules import NoiseInputs, NoiseRules
from schemas.attribute import Attribute


class ModalityConflict:
    """Scored for each attribute by `conflict_score`; measured on swapped titles."""

    name = "modality_conflict"
    title = "Picture and title name different values"
    explanation = "The model reads one value from the picture alone and another from the title alone, each confidently."
    needs_both = True

    def scores(self, inputs: NoiseInputs, rules: NoiseRules) -> Iterator[tuple[int, Float[np.ndarray, " N"]]]:
        for k, (picture, title) in enumerate(zip(inputs.picture, inputs.title, strict=True)):
            yield k, conflict_score(picture, title)

    def details(
        self,
        inputs: NoiseInputs,
        attributes: Sequence[Attribute],
        attribute: int | None,
        rows: Int[np.ndarray, " R"],
    ) -> Iterator[str]:
        assert attribute is not None
        answers = attributes[attribute].answers
        likeliest = (probabilities[attribute][rows].argmax(axis=1) for probabilities in (inputs.picture, inputs.title))
        for picture, title in zip(*likeliest, strict=True):
            yield f"picture says {answers[picture]}, title says {answers[title]}"

    def measure(self, trial: Trial, rules: NoiseRules) -> Iterator[Measured]:
        for (_, clean), (_, noisy) in zip(
            self.scores(trial.clean, rules), self.scores(trial.swapped, rules), strict=True
        ):
            yield Measured(clean[trial.held_out], noisy[trial.held_out])


def conflict_score(picture: Floats, title: Floats) -> Floats:
    """(N,) how confidently the picture alone and the title alone answer differently, from (N, C + 1) probabilities
    each: the lower of their two confidences, 0 where they agree."""
    lower: Floats = np.minimum(picture.max(1), title.max(1))
    return np.where(picture.argmax(1) != title.argmax(1), lower, 0.0)
