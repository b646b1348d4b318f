"""The paper's Algorithm 1, line by line, against a plain reimplementation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from models.engines.features import classify, encode
from models.engines.torch_engine import TorchEngine
from models.training import stage
from models.training.objective import objective
from models.training.presets import PRESETS, Preset
from models.training.train import train
from tests.models.network import plain_cma_clip as plain
from tests.models.network.plain_inputs import listings_of, shaken, weights_of
from tests.models.tiny import TAXONOMY, clip_folder, examples, tiny_network, tiny_preset, unlabelled

CPU = torch.device("cpu")

ATTENTIONS_AND_HEADS = ("sequence_attention.layers.", "sequence_attention.norm.", "modality_attentions.", "heads.")

TOWERS = ("backbone.visual.", "backbone.text.")

MOVING = {
    "warm-up": ATTENTIONS_AND_HEADS,
    "end-to-end": (*TOWERS, *ATTENTIONS_AND_HEADS),
    "tuning": ("modality_attentions.", "heads."),
}


def test_algorithm_1_is_the_reference_presets_and_nothing_else() -> None:
    reference = PRESETS["vit-b-32"]
    shape = reference.architecture
    as_the_paper = Preset(
        name="vit-b-32",
        architecture=replace(shape, attention_layers=12, attention_heads=8, sequence_attention=True, dropout=0.0),
        pretrained="openai",
        stages=tuple(
            replace(own, name=name, learning_rate=1e-5, schedule="constant", title_dropout=0.0)
            for own, name in zip(reference.stages, MOVING, strict=True)
        ),
        batch=1024,
        optimizer="adam",
        weight_decay=1e-4,
    )
    assert reference == as_the_paper
    switched_off = ("augment", "modality_dropout", "token_dropout", "swapped", "mixup", "ema")
    losses = ("label_smoothing", "contrastive_weight", "matching_weight")
    of_probes = ("probes_train_towers", "pools_probes")
    assert not any(getattr(reference, name) for name in (*switched_off, *losses, *of_probes))
    assert reference.text_rate == 1.0 and shape.modality_attention


def test_algorithm_1_starts_from_clip(tmp_path: Path) -> None:
    name = clip_folder(tmp_path)
    shaken_clip = shaken(tiny_network(tiny_preset(name))).backbone.state_dict()
    save_file(shaken_clip, tmp_path / "open_clip_model.safetensors")
    network = tiny_preset(name).build(TAXONOMY, load_pretrained=True)
    loaded = network.backbone.state_dict()
    assert loaded.keys() == shaken_clip.keys()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in shaken_clip.items())


@pytest.fixture(scope="module")
def trained(backbone_name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, dict[str, Tensor]], str]:
    """The weights before training and after each stage of two steps, each over one batch of all listings."""
    folder = tmp_path_factory.mktemp("algorithm-1")
    preset = tiny_preset(backbone_name)
    preset = replace(preset, stages=tuple(replace(stage, epochs=2) for stage in preset.stages))
    network = shaken(tiny_network(preset))
    states = {"start": {name: tensor.clone() for name, tensor in network.state_dict().items()}}
    with pytest.MonkeyPatch.context() as patch:
        for module in (objective, stage):  # bf16 would drown steps of 1e-5
            patch.setattr(module, "has_bf16", lambda device: False)
        train(network, preset, examples(8), unlabelled(2), folder=folder, device=CPU)
    return states | {name: load_file(folder / f"{name}.safetensors") for name in MOVING}, backbone_name


@pytest.mark.parametrize(
    ("before", "name"), [("start", "warm-up"), ("warm-up", "end-to-end"), ("end-to-end", "tuning")]
)
def test_algorithm_1_each_stage_takes_the_plain_ones_steps(
    trained: tuple[dict[str, dict[str, Tensor]], str], before: str, name: str
) -> None:
    """Which parts move, by Adam at 1e-5 with decay 1e-4, from the weights of the stage before; towers, attentions and
    heads follow the summed loss of labelled tasks alone, whatever the probes learn beside them."""
    states, _ = trained
    start, found = weights_of(states[before]), weights_of(states[name])
    expected = plain.stage(start, listings_of(examples(8)), moving=MOVING[name], steps=2, rate=1e-5)
    for key in (key for key in start if key.startswith(MOVING["end-to-end"])):
        if not key.startswith(MOVING[name]):
            assert torch.equal(found[key], start[key]), key
            continue
        difference = ((found[key] - expected[key]).abs() / 1e-5).flatten()
        # Steps of Adam have the size of the rate whatever the gradient's; only where decay and gradient cancel out is
        # that size left to rounding.
        assert difference.max() < 2.1 and difference.quantile(0.98) < 0.1, key
        assert (found[key] != start[key]).any(), key


def test_algorithm_1_learning_rate_and_decay_of_every_group(preset: Preset, tmp_path: Path) -> None:
    seen: list[tuple[type, list[tuple[float, float, int]]]] = []

    def look(optimizer: torch.optim.Optimizer, *_: object) -> None:
        groups = [(group["lr"], group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
        seen.append((type(optimizer), groups))

    handle = register_optimizer_step_pre_hook(look)
    try:
        network = tiny_network(preset)
        train(network, preset, examples(8), unlabelled(2), folder=tmp_path, device=CPU)
    finally:
        handle.remove()
    assert [kind for kind, _ in seen] == [torch.optim.Adam] * 3
    assert [(rate, decay) for _, groups in seen for rate, decay, _ in groups] == [(1e-5, 1e-4)] * 3
    warm_up, end_to_end, tuning = (count for _, groups in seen for _, _, count in groups)
    assert end_to_end == len(list(network.parameters()))
    assert warm_up == end_to_end - len(list(network.backbone.parameters()))
    assert tuning == len([*network.modality_attentions.parameters(), *network.heads.parameters()])


@pytest.fixture
def steep(preset: Preset) -> Preset:
    """Warm-up of three epochs at a rate that changes answers, then a tuning that changes nothing."""
    warm_up, _, tuning = preset.stages
    return replace(
        preset,
        stages=(replace(warm_up, epochs=3, learning_rate=0.05), replace(tuning, epochs=1, learning_rate=0.0)),
    )


def test_algorithm_1_hands_on_the_best_checkpoint_of_a_stage(steep: Preset, tmp_path: Path) -> None:
    """Validation asks for what the network answers after two of three epochs: the best is neither first nor last."""
    twice = replace(steep, stages=(replace(steep.stages[0], epochs=2),))
    validation, networks = examples(24, seed=1), [tiny_network(steep) for _ in range(2)]
    for folder in (tmp_path / "twice", tmp_path / "whole"):
        folder.mkdir()
    train(networks[0], twice, examples(16), unlabelled(2), folder=tmp_path / "twice", device=CPU)
    answers = classify(networks[0], encode(TorchEngine(networks[0]), validation), validation.present).logits
    validation = replace(validation, labels=np.stack([logits.argmax(axis=1) for logits in answers], axis=1))
    history = train(networks[1], steep, examples(16), validation, folder=tmp_path / "whole", device=CPU)
    before, _, best, last = history.accuracy["warm-up"]
    assert best == 1.0 and before < 1.0 and last < 1.0
    assert history.accuracy["tuning"] == [1.0, 1.0]
    after_two_epochs = networks[0].state_dict()
    assert all(torch.equal(after_two_epochs[key], found) for key, found in networks[1].state_dict().items())


def test_algorithm_1_missing_labels_and_padding_move_nothing(preset: Preset, tmp_path: Path) -> None:
    """Only the first task is labelled, so the head and the w of the second stay but for their decay."""
    network = shaken(tiny_network(preset))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    chunk = examples(8)
    chunk = replace(chunk, labels=np.stack([chunk.labels[:, 0], np.full(8, -1)], axis=1))
    warm_up = replace(preset, weight_decay=0.0, stages=preset.stages[:1])
    train(network, warm_up, chunk, unlabelled(2), folder=tmp_path, device=CPU)
    moved = {name for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {"modality_attentions.0.w", "heads.0.0.weight", "heads.0.3.bias"} <= moved
    assert not any(name.startswith(("modality_attentions.1.", "heads.1.")) for name in moved)
