"""The interface of engines, which run the network: arrays in, features out."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from models.inputs.arrays import Floats

if TYPE_CHECKING:
    from models.network.cma_clip import CmaClip

ONNX = "encoder.onnx"  # the exported network, in the folder of engines


@runtime_checkable
class ModelFacts(Protocol):
    """The facts of a model's card that engines read."""

    @property
    def weights(self) -> str: ...
    @property
    def context_length(self) -> int: ...
    @property
    def trims_titles(self) -> bool: ...


@runtime_checkable
class TrainedModel(Protocol):
    """The trained model that engines are built from; their files go to `folder / "engines"`."""

    @property
    def folder(self) -> Path: ...
    @property
    def card(self) -> ModelFacts: ...
    @property
    def network(self) -> "CmaClip": ...


class Features(NamedTuple):
    """I′ and T′, and the towers' global embeddings, of B listings."""

    image_out: Float32[np.ndarray, "B D"]
    title_out: Float32[np.ndarray, "B D"]
    image_embedding: Float32[np.ndarray, "B D"]
    title_embedding: Float32[np.ndarray, "B D"]


@dataclass(frozen=True)
class EngineIdentity:
    """Everything besides the weights that an engine's numbers depend on."""

    backend: str
    version: str
    device: str
    precision: str
    shapes: str = ""  # batch shapes that it was built for; empty: any

    def __str__(self) -> str:
        shapes = f" for {self.shapes}" if self.shapes else ""
        return f"{self.backend} {self.version} {self.precision} on {self.device}{shapes}"


def reference_identity() -> EngineIdentity:
    """The identity of PyTorch on the CPU. Loads no PyTorch."""
    return EngineIdentity("torch", version("torch"), "cpu", "float32")


@runtime_checkable
class InferenceEngine(Protocol):
    """Runs the network on a batch: pictures of the network's size, token ids trimmed to the batch's longest title, and
    which of picture and title each listing has."""

    @property
    def identity(self) -> EngineIdentity: ...

    @property
    def batch(self) -> int:
        """The preferred number of listings a call; it takes any number."""
        ...

    @property
    def streams(self) -> int:
        """The number of threads that may call it at the same time."""
        ...

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features: ...


@dataclass(frozen=True)
class Predictions:
    """What the heads answer for N listings: for each of K tasks the (N, C_k) pooled logits, and those of the picture
    and of the title by themselves."""

    logits: list[Floats]
    image_weight: Floats  # (N, K) λ, the weight of the picture
    image_logits: list[Floats]
    title_logits: list[Floats]
    similarity: Floats  # (N,) cosine of the towers' embeddings, aligned
    match: Floats  # (N,) logit that picture and title belong together
