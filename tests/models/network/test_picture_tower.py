"""A picture tower with a trunk of timm: patches from the maps of all its stages, and an embedding of the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from models.engines.onnx.export import export_onnx
from models.engines.onnx.fold_normalisation import folded_normalisation
from models.engines.torch_engine import TorchEngine
from models.network.architecture import PictureTowerShape
from models.network.cma_clip import CmaClip
from models.network.picture_tower import PictureTower, build_picture_tower
from tests.models.engines.compiled_models import batch, close, in_float32
from tests.models.network import tower_folders as tower_folders  # registers the trunks
from tests.models.tiny import CONTEXT, WIDTH, tiny_network, tiny_preset


def tower(trunk: str, **shape: object) -> PictureTower:
    torch.manual_seed(0)
    shape = {"image_size": (32, 48)} | shape
    return build_picture_tower(PictureTowerShape(trunk=trunk, **shape), weights=None, width=WIDTH).eval()


def network_with(backbone: str, trunk: str, size: tuple[int, int] = (32, 32)) -> CmaClip:
    preset = tiny_preset(backbone)
    shape = PictureTowerShape(trunk=trunk, image_size=size)
    return tiny_network(replace(preset, architecture=replace(preset.architecture, picture_tower=shape)))


@torch.no_grad()
@pytest.mark.parametrize(
    ("trunk", "grid", "channels"),
    [
        ("tiny_lite", (4, 6), [8, 8, 8, 8, 16, 16, 16]),  # stem, three stages; deviations of those finer than the last
        ("test_vit", (2, 3), [64]),
        ("test_resnet", (1, 2), [32, 32, 32, 32, 48, 48, 192, 96]),
        ("test_convnext", (1, 1), [24, 24, 32, 32, 48, 48, 64]),
    ],
)
def test_every_stage_of_any_kind_of_trunk_is_seen(trunk: str, grid: tuple[int, int], channels: list[int]) -> None:
    built = tower(trunk)
    features = built.features(torch.randn(2, 3, 32, 48), torch.rand(2, 32, 48, 3) * 255)
    assert built.grid == grid
    assert features.shape == (2, grid[0] * grid[1], sum(channels) + len(built.colours))
    image = built(features)
    assert image.sequence.shape == (2, 1 + grid[0] * grid[1], WIDTH)
    assert torch.equal(image.sequence[:, 0], image.embedding)


@torch.no_grad()
@pytest.mark.parametrize("grid", [(2, 2), (2, 4)])  # of the stem's map of 8 × 12; 12 columns in 4 cells, and 6 in 4
def test_features_are_means_and_deviations_of_the_maps_over_a_cell(grid: tuple[int, int]) -> None:
    built = tower("tiny_lite", image_size=(16, 24), grid=grid)
    normal = torch.randn(1, 3, 16, 24)
    stem = built.maps(normal)[0]
    assert stem.shape == (1, 8, 8, 12)
    rows, columns = (torch.arange(side) * cells // side for side, cells in zip((8, 12), grid, strict=True))
    found = built.features(normal, torch.zeros(1, 16, 24, 3))[0, :, :16].unflatten(0, grid)
    for row in range(grid[0]):
        for column in range(grid[1]):
            cell = stem[0][:, rows == row][:, :, columns == column].flatten(1)
            torch.testing.assert_close(found[row, column, :8], cell.mean(1), rtol=1e-4, atol=1e-5)
            deviation = (cell.var(1, correction=0) + 1e-4).sqrt()
            torch.testing.assert_close(found[row, column, 8:], deviation, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_features_are_standardised_by_what_was_fitted() -> None:
    built = tower("tiny_lite")
    features = 5 + 3 * torch.randn(40, 24, len(built.mean))
    assert not built.fitted
    built.fit_statistics(features)
    assert built.fitted
    standard = (features - built.mean) / built.std
    torch.testing.assert_close(standard.flatten(0, 1).mean(0), torch.zeros(len(built.mean)), rtol=0, atol=1e-5)
    torch.testing.assert_close(standard.flatten(0, 1).std(0), torch.ones(len(built.mean)), rtol=0, atol=1e-4)
    summary = built.summary(features)
    torch.testing.assert_close(summary.mean(0), torch.zeros(2 * len(built.mean)), rtol=0, atol=1e-4)
    torch.testing.assert_close(summary.std(0, correction=0), torch.ones(2 * len(built.mean)), rtol=0, atol=1e-3)
    expected = torch.nn.functional.linear(standard, built.patch_projection.weight, built.patch_projection.bias)
    torch.testing.assert_close(built(features).sequence[:, 1:], expected)


@torch.no_grad()
def test_a_picture_of_one_color_has_finite_gradients_and_embeddings() -> None:
    built = tower("tiny_lite")
    with torch.enable_grad():
        loss = built(built.features(torch.zeros(1, 3, 32, 48), torch.zeros(1, 32, 48, 3))).embedding.square().sum()
        loss.backward()
    gradients: list[Tensor] = [p.grad for p in built.parameters() if p.grad is not None]
    assert gradients and all(part.isfinite().all() for part in gradients)


@torch.no_grad()
@pytest.mark.parametrize("trunk", ["tiny_lite", "test_resnet", "test_vit"])
def test_normalisation_is_folded_into_the_first_convolution(backbone_name: str, trunk: str) -> None:
    backbone = network_with(backbone_name, trunk).backbone
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    before = backbone.images(pictures)
    with folded_normalisation(backbone) as done:
        assert done
        torch.testing.assert_close(backbone.images(pictures), before, rtol=1e-4, atol=1e-5)
        if trunk == "tiny_lite":  # it pads, with zeros that stand for the mean colour
            assert backbone.normalise(torch.full((1, 1, 1, 3), 100)).flatten().tolist() == [-27.5] * 3


@torch.no_grad()
def test_openvino_and_torch_agree(backbone_name: str, tmp_path: Path) -> None:
    """Of pictures whose maps are not multiples of the grid: 14 × 10, 7 × 5 and 4 × 3 cells."""
    network = network_with(backbone_name, "tiny_lite", (28, 20))
    network.backbone.feature_cache = lambda pictures: pytest.fail("the graph computes the features itself")
    export_onnx(network, tmp_path / "encoder.onnx")
    for listings, length in ((1, 2), (7, CONTEXT)):
        given = batch(listings, length, size=(28, 20))
        expected = TorchEngine(network)(given.pictures, given.tokens, given.present)
        close(in_float32(tmp_path / "encoder.onnx", given), expected, 1e-4)
