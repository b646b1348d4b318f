"""The trunk of a picture tower in training: frozen, or moved from its last blocks on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.network.architecture import PictureTowerShape
from models.network.cma_clip import CmaClip
from models.training.parts import Stage
from models.training.preset import Preset
from models.training.train import train
from tests.models.network import tower_folders as tower_folders  # registers the trunk
from tests.models.tiny import examples, tiny_network, tiny_preset, unlabelled

CPU = torch.device("cpu")
FUSION = ("image_tower", "title_tower", "probes", "sequence_attention", "modality_attention", "heads")
STAGES = (
    Stage(name="warm-up", parts=FUSION, epochs=1, learning_rate=1e-2),
    Stage(name="end-to-end", parts=("image_trunk", *FUSION), epochs=1, learning_rate=1e-2, trunk_blocks=1),
    Stage(name="tuning", parts=("modality_attention", "heads"), epochs=1, learning_rate=1e-2),
)


@pytest.fixture
def preset(backbone_name: str) -> Preset:
    base = tiny_preset(backbone_name, trunk_rate=0.1)
    tower = PictureTowerShape(trunk="tiny_lite", image_size=(32, 32))
    return replace(base, architecture=replace(base.architecture, picture_tower=tower), stages=STAGES)


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    names = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    return {name.removeprefix("backbone.visual.") for name in names if name.startswith("backbone.visual.")}


def trained(preset: Preset, network: CmaClip, folder: Path) -> None:
    folder.mkdir()
    train(network, preset, examples(12), unlabelled(6), folder=folder, device=CPU)


LAYERS = ("patch_projection", "cell_weights", "image_projection.1", "image_projection.4")
PROJECTIONS = {f"{name}.{kind}" for name in LAYERS for kind in ("weight", "bias")}
STATISTICS = {"mean", "std", "summary_mean", "summary_std", "fitted"}


@pytest.mark.parametrize("blocks", [1, None])
def test_warm_up_leaves_the_trunk_as_it_is_and_a_later_stage_moves_its_last_blocks(
    preset: Preset, tmp_path: Path, blocks: int | None
) -> None:
    network = tiny_network(preset)
    states = [{name: tensor.clone() for name, tensor in network.state_dict().items()}]
    stages = (STAGES[0], replace(STAGES[1], trunk_blocks=blocks), STAGES[2])
    for stage in stages:
        trained(replace(preset, stages=(stage,)), network, tmp_path / stage.name)
        states.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
    start, warm_up, end_to_end, tuning = states
    assert changed(start, warm_up) == PROJECTIONS | STATISTICS
    moved = changed(warm_up, end_to_end)
    assert moved > PROJECTIONS and not STATISTICS & moved
    trunk = moved - PROJECTIONS
    assert "trunk.blocks.2.0.bn1.running_mean" in trunk
    assert ("trunk.conv_stem.weight" in trunk) is (blocks is None)
    assert blocks is None or all(name.startswith("trunk.blocks.2.") for name in trunk)
    assert changed(end_to_end, tuning) == set()


def test_features_of_training_pictures_are_standardised(preset: Preset, tmp_path: Path) -> None:
    """Of those that listings have, without the zeros that stand for a missing picture."""
    network = tiny_network(preset)
    trained(replace(preset, stages=()), network, tmp_path / "none")
    shown = torch.from_numpy(examples(12).pictures[1:])
    tower = network.backbone.visual
    with torch.no_grad():
        standard = (network.backbone.features(shown) - tower.mean) / tower.std
    torch.testing.assert_close(standard.mean((0, 1)), torch.zeros(len(tower.mean)), rtol=0, atol=1e-3)
    before = tower.mean.clone()
    train(network, preset, examples(12, seed=5), examples(6, seed=1), folder=tmp_path, device=CPU)
    assert torch.equal(tower.mean, before)  # fitted once


def test_titles_alone_need_no_statistics(preset: Preset, tmp_path: Path) -> None:
    listings = examples(12)
    present = listings.present.copy()
    present[:, 0] = False
    network = tiny_network(preset)
    masked = replace(listings, present=present).take(present.any(axis=1))
    train(network, preset, masked, masked, folder=tmp_path, device=CPU)
    assert not network.backbone.visual.fitted
    assert all(tensor.isfinite().all() for tensor in network.backbone.visual.state_dict().values())


def test_a_trunk_moves_with_its_projections() -> None:
    with pytest.raises(ValueError, match="stage odd: a stage that moves image_trunk moves image_tower, too"):
        Stage(name="odd", parts=("image_trunk", "heads"), epochs=1, learning_rate=1e-3)
