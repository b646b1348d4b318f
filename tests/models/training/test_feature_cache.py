"""Features of frozen trunks are computed once for all stages, variants and runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.engines.features import encode
from models.engines.torch_engine import TorchEngine
from models.network.architecture import PictureTowerShape
from models.network.cma_clip import CmaClip
from models.training.objective.augmentation import mirror, mirrored
from models.training.parts import Stage
from models.training.preset import Preset
from models.training.saved.feature_cache import FeatureCache, attach_feature_cache
from models.training.train import train
from tests.models.network import tower_folders as tower_folders  # registers the trunk
from tests.models.tiny import examples, tiny_network, tiny_preset

CPU = torch.device("cpu")
FUSION = ("image_tower", "title_tower", "probes", "sequence_attention", "modality_attention", "heads")
WARM_UP = Stage(name="warm-up", parts=FUSION, epochs=2, learning_rate=1e-3)
END_TO_END = Stage(name="end-to-end", parts=("image_trunk", *FUSION), epochs=1, learning_rate=1e-2)
TUNING = Stage(name="tuning", parts=("modality_attention", "heads"), epochs=1, learning_rate=1e-3)


@pytest.fixture
def preset(backbone_name: str) -> Preset:
    base = tiny_preset(backbone_name, augment=True)
    tower = PictureTowerShape(trunk="tiny_lite", image_size=(32, 32))
    return replace(base, architecture=replace(base.architecture, picture_tower=tower), stages=(WARM_UP,))


def pictures_through(network: CmaClip) -> Callable[[], int]:
    """Counts the pictures that the trunk has computed since the last time that it was asked."""
    seen: list[int] = []
    network.backbone.visual.trunk.conv_stem.register_forward_hook(lambda m, given, out: seen.append(len(given[0])))

    def count() -> int:
        total = sum(seen)
        seen.clear()
        return total

    return count


def cached(network: CmaClip, folder: Path, most_bytes: int = 10**9) -> FeatureCache:
    cache = attach_feature_cache(network, folder=folder, most_bytes=most_bytes)
    assert cache is not None
    return cache


@torch.no_grad()
def test_a_picture_is_computed_once_and_its_mirror_image_once(preset: Preset, tmp_path: Path) -> None:
    network, pictures = tiny_network(preset), examples(6).pictures
    expected = network.backbone.computed_features(torch.from_numpy(pictures))
    count, cache = pictures_through(network), cached(network, tmp_path)
    found = network.backbone.features(torch.from_numpy(pictures))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert count() == 6
    cache.fill(pictures, mirrored(pictures))
    assert count() == 5  # the first listing's zeros are their own mirror image
    again = network.backbone.features(torch.from_numpy(pictures[[3, 1, 3]]))
    assert torch.equal(again, found[[3, 1, 3]]) and count() == 0
    network.backbone.features(mirror(torch.from_numpy(pictures)))
    assert count() == 0
    network.backbone.features(torch.rand(2, 32, 32, 3) * 255)  # a mixture of pictures
    assert count() == 2


@torch.no_grad()
def test_pictures_without_room_are_computed_each_time(preset: Preset, tmp_path: Path) -> None:
    network, pictures = tiny_network(preset), torch.from_numpy(examples(6).pictures)
    whole = cached(network, tmp_path / "whole")(pictures)
    count, row_bytes = pictures_through(network), 2 * whole[0].numel() + 16
    cache = cached(network, tmp_path / "part", 4 * row_bytes)
    assert torch.equal(cache(pictures), whole) and count() == 6
    assert torch.equal(cache(pictures.flip(0)), whole.flip(0)) and count() == 2


@torch.no_grad()
def test_openvino_computes_many_pictures_as_pytorch_does(preset: Preset, tmp_path: Path) -> None:
    network, pictures = tiny_network(preset), torch.from_numpy(examples(70).pictures)
    expected = network.backbone.computed_features(pictures)
    count = pictures_through(network)
    found = cached(network, tmp_path)(pictures)
    assert count() < 70  # OpenVINO traces the trunk
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-3)


def test_stages_epochs_and_runs_share_what_was_computed(preset: Preset, tmp_path: Path) -> None:
    def run(name: str, **changes: object) -> int:
        network = tiny_network(replace(preset, **changes))
        count = pictures_through(network)
        (tmp_path / name).mkdir()
        options = {"folder": tmp_path / name, "device": CPU, "features": tmp_path / "features"}
        train(network, replace(preset, **changes), examples(12), examples(9, seed=1), **options)
        return count()

    assert run("first") == 12 + 11 + 8  # pictures, mirror images, validation; the zeros are in each
    assert run("second", swapped=0.2, stages=(WARM_UP, TUNING)) == 0
    assert run("third", augment=False) == 0


def test_a_trunk_that_has_moved_has_features_of_its_own(preset: Preset, tmp_path: Path) -> None:
    preset = replace(preset, stages=(WARM_UP, END_TO_END, TUNING))
    network, listings = tiny_network(preset), examples(12)
    options = {"folder": tmp_path / "run", "device": CPU, "features": tmp_path / "features"}
    (tmp_path / "run").mkdir()
    validation = examples(9, seed=1)
    unlabelled = replace(validation, labels=np.full_like(validation.labels, -1))  # so that the last epoch is kept
    train(network, preset, listings, unlabelled, **options)
    assert len(list((tmp_path / "features").iterdir())) == 2
    found = encode(TorchEngine(network), listings)
    assert network.backbone.feature_cache is not None
    network.backbone.feature_cache = None
    for one, other in zip(found, encode(TorchEngine(network), listings), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-2, atol=1e-2)


def test_other_towers_and_no_bytes_mean_no_cache(backbone_name: str, preset: Preset, tmp_path: Path) -> None:
    assert attach_feature_cache(tiny_network(tiny_preset(backbone_name)), folder=tmp_path, most_bytes=10**9) is None
    assert attach_feature_cache(tiny_network(preset), folder=tmp_path, most_bytes=0) is None
