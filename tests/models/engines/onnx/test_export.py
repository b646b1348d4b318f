from pathlib import Path

import numpy as np
import onnx
import pytest
import timm
import torch
from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

from models.engines.onnx.export import export_onnx
from models.engines.onnx.fold_normalisation import folded_normalisation
from models.engines.torch_engine import TorchEngine
from models.network.towers import build_backbone
from tests.models.engines.compiled_models import batch, close, in_float32
from tests.models.network.tower_folders import noise, timm_folder
from tests.models.tiny import CONTEXT, clip_folder, tiny_network, tiny_preset


@timm.models.register_model
def patches_by_unfolding(pretrained: bool = False, **_: object) -> torch.nn.Module:
    """A tower without a convolution that reads the picture: its patches go through a linear layer."""

    class Tower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.default_cfg: dict[str, object] = {}
            self.num_features = 16
            self.linear = torch.nn.Linear(3 * 16 * 16, 16)

        def forward_features(self, pictures: torch.Tensor) -> torch.Tensor:
            patches = torch.nn.functional.unfold(pictures, 16, stride=16).transpose(1, 2)
            return self.linear(patches).transpose(1, 2).unflatten(2, (2, 2))

        def forward_head(self, features: torch.Tensor) -> torch.Tensor:
            return features.mean((2, 3))

        def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
            pass

    return Tower()


MEAN, STD = (255 * np.array(values) for values in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
PIXELS, CENTRED, NORMAL = np.full(3, 100.0), 100 - MEAN, (100 - MEAN) / STD
KINDS = [  # tower, and what is left of pixels that are 100 before the first convolution
    ("clip", PIXELS),
    ("tiny_siglip", PIXELS),
    ("tiny_swin", PIXELS),
    ("cma_small_convnet", CENTRED),  # its stem pads
    ("patches_by_unfolding", NORMAL),
]


def model_of(kind: str, folder: Path) -> str:
    """The `local-dir:` name of a tiny model with this image tower; SigLIP's text tower sees its padding, too."""
    if kind == "clip":
        return clip_folder(folder)
    if kind == "tiny_siglip":
        return timm_folder(folder, kind, "map", "none", no_causal_mask=True, pool_type="last")
    return timm_folder(folder, kind, "avg", "linear")


@torch.no_grad()
@pytest.mark.parametrize(("kind", "left"), KINDS)
def test_pictures_are_seen_as_before(kind: str, left: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(model_of(kind, tmp_path), pretrained=None, random_weights=True).eval()
    pictures, _ = noise()
    weights, before = backbone.state_dict(), backbone.images(pictures)
    normalise = backbone.normalise
    with folded_normalisation(backbone) as done:
        assert done is (left is not NORMAL)
        assert backbone.normalise(torch.full((1, 1, 1, 3), 100)).flatten().tolist() == pytest.approx(left)
        within = backbone.images(pictures)
    torch.testing.assert_close(within, before, rtol=1e-4, atol=1e-5)
    assert backbone.normalise is normalise
    after = backbone.state_dict()
    assert after.keys() == weights.keys() and all(torch.equal(after[name], weights[name]) for name in after)
    assert torch.equal(backbone.images(pictures).sequence, before.sequence)


def before_the_first_convolution(path: Path) -> set[str]:
    """What is computed of the pictures until there."""
    seen, kinds = {"pictures"}, set[str]()
    for node in onnx.load(path).graph.node:
        if seen & set(node.input):
            if node.op_type == "Conv":
                return kinds
            kinds.add(node.op_type)
            seen.update(node.output)
    raise AssertionError("there is no convolution")


@torch.no_grad()
@pytest.mark.parametrize(
    "kind",
    [
        "clip",
        "cma_small_convnet",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tiny_siglip", "tiny_swin", "patches_by_unfolding")),
    ],
)
def test_every_kind_of_tower_at_any_length_and_batch(kind: str, tmp_path: Path) -> None:
    network = tiny_network(tiny_preset(model_of(kind, tmp_path)))
    export_onnx(network, tmp_path / "encoder.onnx")
    before_it = {"clip": set(), "tiny_siglip": set(), "tiny_swin": set(), "cma_small_convnet": {"Sub"}}
    if kind in before_it:
        assert before_the_first_convolution(tmp_path / "encoder.onnx") == {"Cast", "Transpose"} | before_it[kind]
    reference = TorchEngine(network)
    for listings, length in ((1, 2), (2, 5), (7, CONTEXT)):
        given = batch(listings, length)
        expected = reference(given.pictures, given.tokens, given.present)
        close(in_float32(tmp_path / "encoder.onnx", given), expected, 1e-4)
