"""The outcome of one variant of an ablation with one seed: its predictions for the test listings, kept in a file, so
that a resumed ablation skips it."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.engines.interface import Predictions
from models.experiments.mismatch_scores import mismatch_scores
from models.experiments.swapped_listings import CONDITIONS, Condition, under_condition
from models.experiments.train_variant import Predictor, TrainingInputs, train_variant, with_both
from models.experiments.variants import variant_of
from models.inputs.examples import Examples
from models.rules.calibration import fit_temperature, value_probabilities
from schemas.files import replacing

Reading = Literal["heads", "pooled"]
READINGS: tuple[Reading, ...] = get_args(Reading)

Probabilities = dict[Condition, list[Float[np.ndarray, "N _"]]]


@dataclass(frozen=True)
class Outcome:
    """A variant's predictions for the test listings. By condition: per attribute the calibrated probabilities of its
    values, and λ (NaN for variants without one).

    `pooled` are the probabilities of heads and probes together, `mismatch` the scores of `mismatch_scores`; both are
    empty for variants without them. `seconds` of training, without that of the towers.
    """

    seconds: float
    probabilities: Probabilities
    image_weight: dict[Condition, Float[np.ndarray, "N K"]]
    pooled: Probabilities = field(default_factory=dict)
    mismatch: dict[Condition, Float[np.ndarray, "N 3"]] = field(default_factory=dict)

    def read_by(self, reading: Reading) -> "Outcome":
        """The outcome whose `probabilities` are those of the heads alone, or with the pool where there is one."""
        return replace(self, probabilities=self.pooled) if reading == "pooled" and self.pooled else self

    def write(self, path: Path) -> None:
        """Writes safetensors, whole or not at all."""
        tensors = {f"{of}/image_weight": weight for of, weight in self.image_weight.items()}
        tensors |= {f"{of}/mismatch": scores for of, scores in self.mismatch.items()}
        for reading, by_condition in zip(READINGS, (self.probabilities, self.pooled), strict=True):
            for of, tasks in by_condition.items():
                tensors |= {f"{of}/{reading}/{k}": np.ascontiguousarray(task) for k, task in enumerate(tasks)}
        with replacing(path) as temporary:
            save_file(tensors, temporary, metadata={"seconds": json.dumps(self.seconds)})

    @classmethod
    def read(cls, path: Path) -> "Outcome | None":
        """The outcome that `write` wrote; None if the file is missing or damaged."""
        try:
            with safe_open(path, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                seconds = json.loads(file.metadata()["seconds"])
            tasks = tensors[f"{CONDITIONS[0]}/image_weight"].shape[1]
            heads, pooled = (
                {of: [tensors[f"{of}/{reading}/{k}"] for k in range(tasks)] for of in _conditions(tensors, reading)}
                for reading in READINGS
            )
            return cls(
                seconds=seconds,
                probabilities=heads,
                image_weight={of: tensors[f"{of}/image_weight"] for of in CONDITIONS},
                pooled=pooled,
                mismatch={of: tensors[f"{of}/mismatch"] for of in CONDITIONS if f"{of}/mismatch" in tensors},
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None


def _conditions(tensors: Iterable[str], reading: Reading) -> Sequence[Condition]:
    """All conditions; none where there is no pool."""
    return CONDITIONS if reading == "heads" or f"{CONDITIONS[0]}/{reading}/0" in tensors else ()


def run_variant(name: str, inputs: TrainingInputs, test: Examples, *, towers: Path, folder: Path) -> Outcome:
    """Trains a variant, and predicts the test listings clean and with titles or pictures swapped."""
    began = time.monotonic()
    model = train_variant(name, inputs, towers=towers, folder=folder)
    seconds = time.monotonic() - began
    return predict(
        model,
        inputs.validation,
        test,
        seed=inputs.preset.seed,
        seconds=seconds,
        detects_mismatches=variant_of(name).detects_mismatches,
    )


def predict(
    model: Predictor,
    validation: Examples,
    test: Examples,
    *,
    seed: int,
    seconds: float,
    detects_mismatches: bool = False,
) -> Outcome:
    """The calibrated predictions of a model for the test listings under each condition.

    Temperatures are fitted on the validation listings that have both picture and title, as those of the test have.
    """
    comparable = with_both(validation)
    chosen_on = model(comparable)
    answers = {condition: model(under_condition(test, condition, seed=seed).examples) for condition in CONDITIONS}
    outcome = Outcome(
        seconds,
        _calibrated(chosen_on.logits, comparable, {of: found.logits for of, found in answers.items()}),
        {of: found.image_weight for of, found in answers.items()},
    )
    pooled = {of: found.pooled for of, found in answers.items() if found.pooled}
    if chosen_on.pooled and pooled:
        outcome = replace(
            outcome,
            pooled=_calibrated(chosen_on.pooled.logits, comparable, {of: found.logits for of, found in pooled.items()}),
        )
    if detects_mismatches:

        def of_network(examples: Examples) -> Predictions:
            found = model(examples).pooled
            assert found is not None
            return found

        outcome = replace(outcome, mismatch=mismatch_scores(of_network, comparable, pooled))
    return outcome


def _calibrated(
    chosen_on: Sequence[Float[np.ndarray, "M _"]],
    validation: Examples,
    logits: Mapping[Condition, Sequence[Float[np.ndarray, "N _"]]],
) -> Probabilities:
    temperatures = [fit_temperature(task, validation.labels[:, k]) for k, task in enumerate(chosen_on)]
    return {
        condition: [
            value_probabilities(task, temperature).astype(np.float32)
            for task, temperature in zip(tasks, temperatures, strict=True)
        ]
        for condition, tasks in logits.items()
    }


def late_fusion(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of the outcomes' calibrated probabilities; its seconds are the sum of theirs."""

    def mean(parts: Sequence[Probabilities]) -> Probabilities:
        return {
            condition: [np.mean(task, axis=0) for task in zip(*(part[condition] for part in parts), strict=True)]
            for condition in (parts[0] if all(parts) else ())
        }

    return replace(
        outcomes[0],
        seconds=sum(outcome.seconds for outcome in outcomes),
        probabilities=mean([outcome.probabilities for outcome in outcomes]),
        pooled=mean([outcome.pooled for outcome in outcomes]),
        mismatch={},
    )
