"""The outcome of one variant of an ablation with one seed: its predictions for the test listings, kept in a file, so
that a resumed ablation skips it."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from models.experiments.swapped_listings import CONDITIONS, Condition, under_condition
from models.experiments.train_variant import Predictor, TrainingInputs, train_variant, with_both
from models.inputs.examples import Examples
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from models.rules.calibration import fit_temperature, value_probabilities
from schemas.errors import UserError
from schemas.files import replacing

FEWEST = 50  # listings with picture and title that a split needs


@dataclass(frozen=True)
class Splits:
    """The listings of an ablation. `test` has only those with both picture and title, so that all variants predict the
    same ones; `left_out` counts the others, and `unmeasured` names the feeds without any."""

    train: Examples
    validation: Examples
    test: Examples
    left_out: int
    unmeasured: tuple[str, ...] = ()

    @classmethod
    def of(cls, listings: Listings, processor: Processor, *, threads: int) -> "Splits":
        """Decodes pictures and tokenises titles. `UserError` if a split has too few listings with both."""
        train, validation, test = (
            listings.examples(processor, split, threads=threads) for split in ("train", "validation", "test")
        )
        for split, examples in (("train", train), ("validation", validation), ("test", test)):
            if (both := int(np.logical_and(*examples.present.T).sum())) < FEWEST:
                raise UserError(
                    f"too few labelled listings to compare variants on: {both} of the {split} split have both picture "
                    f"and title, {FEWEST} are needed. Ingest more labelled listings."
                )
        comparable = with_both(test)
        unmeasured = tuple(np.setdiff1d(test.feeds, comparable.feeds).tolist())
        return cls(train, validation, comparable, len(test) - len(comparable), unmeasured)

    @property
    def hash(self) -> str:
        """SHA-256 of everything that a variant is trained or measured on."""
        digest = sha256()
        for examples in (self.train, self.validation, self.test):
            for array in (examples.pictures, examples.tokens, examples.present, examples.labels):
                digest.update(f"{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
            digest.update(json.dumps([examples.feeds.tolist(), examples.products.tolist()]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Outcome:
    """A variant's predictions for the test listings. By condition: per attribute the calibrated probabilities of its
    values, and λ (NaN for variants without one). `seconds` of training, without that of the towers."""

    seconds: float
    probabilities: dict[Condition, list[Float[np.ndarray, "N _"]]]
    image_weight: dict[Condition, Float[np.ndarray, "N K"]]

    def write(self, path: Path) -> None:
        """Writes safetensors, whole or not at all."""
        tensors = {f"{condition}/image_weight": weight for condition, weight in self.image_weight.items()}
        for condition, tasks in self.probabilities.items():
            tensors |= {f"{condition}/{k}": np.ascontiguousarray(task) for k, task in enumerate(tasks)}
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
            return cls(
                seconds=seconds,
                probabilities={c: [tensors[f"{c}/{k}"] for k in range(tasks)] for c in CONDITIONS},
                image_weight={c: tensors[f"{c}/image_weight"] for c in CONDITIONS},
            )
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None


def run_variant(name: str, inputs: TrainingInputs, test: Examples, *, towers: Path, folder: Path) -> Outcome:
    """Trains a variant, and predicts the test listings clean and with titles or pictures swapped."""
    began = time.monotonic()
    model = train_variant(name, inputs, towers=towers, folder=folder)
    seconds = time.monotonic() - began
    return predict(model, inputs.validation, test, seed=inputs.preset.seed, seconds=seconds)


def predict(model: Predictor, validation: Examples, test: Examples, *, seed: int, seconds: float) -> Outcome:
    """The calibrated predictions of a model for the test listings under each condition.

    Temperatures are fitted on the validation listings that have both picture and title, as those of the test have.
    """
    comparable = with_both(validation)
    logits = model(comparable).logits
    temperatures = [fit_temperature(task, comparable.labels[:, k]) for k, task in enumerate(logits)]
    answers = {condition: model(under_condition(test, condition, seed=seed).examples) for condition in CONDITIONS}
    probabilities = {
        condition: [
            value_probabilities(task, temperature).astype(np.float32)
            for task, temperature in zip(answer.logits, temperatures, strict=True)
        ]
        for condition, answer in answers.items()
    }
    return Outcome(seconds, probabilities, {condition: answer.image_weight for condition, answer in answers.items()})


def late_fusion(outcomes: Sequence[Outcome]) -> Outcome:
    """The mean of the outcomes' calibrated probabilities; its seconds are the sum of theirs."""
    return replace(
        outcomes[0],
        seconds=sum(outcome.seconds for outcome in outcomes),
        probabilities={
            condition: [
                np.mean(task, axis=0)
                for task in zip(*(each.probabilities[condition] for each in outcomes), strict=True)
            ]
            for condition in CONDITIONS
        },
    )
