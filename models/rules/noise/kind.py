"""The interface of a noise kind: its score, its injection for measuring, and its texts for people."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from models.rules.noise.rules import NoiseInputs, NoiseRules
from schemas.attribute import Attribute


class Trial(NamedTuple):
    """Validation listings that a kind is measured on.

    `clean` are the listings themselves, `swapped` the same pictures under other listings' titles. `held_out` marks
    those that have both and that no noise score was fitted on. `generator` draws what else is injected.
    """

    clean: NoiseInputs
    swapped: NoiseInputs
    held_out: Bool[np.ndarray, " N"]
    generator: np.random.Generator


class Measured(NamedTuple):
    """Scores of clean listings, and of listings that carry the injected noise."""

    clean: Float[np.ndarray, " C"]
    noisy: Float[np.ndarray, " M"]


class NoiseKind(Protocol):
    """One way in which a listing can be wrong. Instances are stateless; what is learned is in `NoiseRules`."""

    @property
    def name(self) -> str:
        """The kind in the catalogue's `noise_flags` and in the model's card."""
        ...

    @property
    def title(self) -> str:
        """What is wrong, as a sentence without its full stop."""
        ...

    @property
    def explanation(self) -> str:
        """A sentence for the catalogue-quality team."""
        ...

    @property
    def needs_both(self) -> bool:
        """Whether only a listing that has both picture and title can be flagged."""
        ...

    def scores(self, inputs: NoiseInputs, rules: NoiseRules) -> Iterable[tuple[int | None, Float[np.ndarray, " N"]]]:
        """(N,) scores in [0, 1], each with the position of its attribute; None: it is of the listing as a whole."""
        ...

    def details(
        self,
        inputs: NoiseInputs,
        attributes: Sequence[Attribute],
        attribute: int | None,
        rows: Int[np.ndarray, " R"],
    ) -> Iterator[str]:
        """For each of these flagged listings, a text that names what contradicts what."""
        ...

    def measure(self, trial: Trial, rules: NoiseRules) -> Iterable[Measured]:
        """Injects the noise and scores it; the pairs (one for each score) are judged together."""
        ...
