"""Compiled models, batches for their engines, and how close two engines' numbers must be."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.properties.hint as hints

from models.engines.interface import ONNX, Features
from models.engines.onnx.export import OUTPUTS
from models.inputs.examples import Examples
from models.lifecycle.card import ModelCard
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.model import Model
from models.network.cma_clip import CmaClip
from models.rules.certificates import Promise
from tests.models.tiny import SIDE, examples, titles

PROMISE = Promise()


@dataclass(frozen=True)
class Compiled:
    folder: Path
    card: ModelCard
    built: EngineCard

    @property
    def onnx(self) -> Path:
        return self.folder / "engines" / ONNX

    @property
    def model(self) -> Model:
        return Model(self.folder, self.card)

    @property
    def network(self) -> CmaClip:
        return self.model.network


def batch(listings: int, length: int, *, size: tuple[int, int] = (SIDE, SIDE)) -> Examples:
    """The first without picture, the second without title, and titles up to exactly `length`."""
    given = examples(listings, seed=listings, size=size)
    tokens = titles(*[[7] * min(row + 1, length - 2) for row in range(listings)], length=length).numpy()
    tokens[-1] = titles([9] * (length - 2), length=length)[0].numpy()
    return replace(given, tokens=tokens)


def close(one: Features, other: Features, tolerance: float) -> None:
    for name, a, b in zip(Features._fields, one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance, err_msg=name)


def in_float32(onnx: Path, given: Examples) -> Features:
    settings = {hints.inference_precision: ov.Type.f32}
    results = ov.Core().compile_model(onnx, "CPU", settings)([given.pictures, given.tokens, given.present])
    return Features(*(np.array(results[name]) for name in OUTPUTS))
