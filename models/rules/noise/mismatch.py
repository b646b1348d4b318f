"""Picture and title do not belong together."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.special import expit

from models.inputs.arrays import Floats
from models.rules.noise.kind import Measured, Trial
from models.rules.noise.modality_conflict import conflict_score
from models.rules.noise.rules import NoiseInputs, NoiseRules
from schemas.attribute import Attribute


class Mismatch:
    """One score for the listing, by a logistic regression over `mismatch_evidence`; measured on swapped titles."""

    name = "mismatch"
    title = "Picture and title do not belong together"
    explanation = "The picture is of another product, or the title is."
    needs_both = True

    def scores(self, inputs: NoiseInputs, rules: NoiseRules) -> Iterator[tuple[None, Float[np.ndarray, " N"]]]:
        """The probability of a mismatch, if half of all listings had one."""
        weights = np.array(rules.mismatch)
        yield None, np.asarray(expit(mismatch_evidence(inputs, rules.priors) @ weights[:-1] + weights[-1]))

    def details(
        self,
        inputs: NoiseInputs,
        attributes: Sequence[Attribute],
        attribute: int | None,
        rows: Int[np.ndarray, " R"],
    ) -> Iterator[str]:
        """The attribute on which picture and title contradict each other most; empty where they never do."""
        pictures, titles = ([task[rows] for task in tasks] for tasks in (inputs.picture, inputs.title))
        conflicts = np.stack([conflict_score(*pair) for pair in zip(pictures, titles, strict=True)])
        for row, k in enumerate(conflicts.argmax(axis=0)):
            name, answers = attributes[k].name, attributes[k].answers
            picture, title = (answers[tasks[k][row].argmax()] for tasks in (pictures, titles))
            yield f"{name}: picture says {picture}, title says {title}" if conflicts[k, row] else ""

    def measure(self, trial: Trial, rules: NoiseRules) -> Iterator[Measured]:
        (_, clean), (_, noisy) = (next(self.scores(inputs, rules)) for inputs in (trial.clean, trial.swapped))
        yield Measured(clean[trial.held_out], noisy[trial.held_out])


def mismatch_evidence(inputs: NoiseInputs, priors: list[list[float]]) -> Floats:
    """(N, 2 + 2K): cosine of the towers' embeddings; logit of the matching head; and for each attribute how much
    likelier than by chance picture and title give the same answer, log Σ_v p_I(v) p_T(v) / p(v), and `conflict_score`.
    """
    columns = [inputs.similarity, inputs.match]
    for picture, title, prior in zip(inputs.picture, inputs.title, priors, strict=True):
        columns += [np.log((picture * title / np.array(prior)).sum(axis=1) + 1e-3), conflict_score(picture, title)]
    return np.stack(columns, axis=1)


def fit_mismatch(clean: Floats, noisy: Floats) -> list[float]:
    """The weights of `NoiseRules.mismatch`, the bias last, from the evidence of clean listings and of swapped ones.

    The evidence is standardised while fitting; the weights are for the evidence itself, and 0 where there is none.
    """
    if not len(clean):
        return [0.0] * (clean.shape[1] + 1)
    from sklearn.linear_model import LogisticRegression  # a second to load, which only training needs

    evidence, truth = np.concatenate([clean, noisy]), np.repeat([0, 1], [len(clean), len(noisy)])
    scale = evidence.std(axis=0) + 1e-6
    fit = LogisticRegression(max_iter=1000).fit(evidence / scale, truth)
    return [float(weight) for weight in (*(fit.coef_[0] / scale), fit.intercept_[0])]
