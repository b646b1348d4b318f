"""The paper (Liu et al. 2021) in its order: towers, equations 1–6, heads, Algorithm 1. docs/paper.md is the index."""

import json
from dataclasses import replace
from math import exp, log
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from models.engines.features import classify, encode
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.network.attention import EncoderLayer, ModalityWiseAttention, SequenceWiseAttention
from models.network.cma_clip import CmaClip
from models.training import stage
from models.training.objective import objective
from models.training.presets import PRESETS, Preset
from models.training.train import train
from tests.models.network import plain_cma_clip as plain
from tests.models.tiny import TAXONOMY, clip_folder, examples, tiny_network, tiny_preset, titles, unlabelled

CPU = torch.device("cpu")
BOTH = torch.tensor([[True, True]])
ATTENTIONS_AND_HEADS = ("sequence_attention.layers.", "sequence_attention.norm.", "modality_attentions.", "heads.")
TOWERS = ("backbone.visual.", "backbone.text.")
MOVING = {
    "warm-up": ATTENTIONS_AND_HEADS,
    "end-to-end": (*TOWERS, *ATTENTIONS_AND_HEADS),
    "tuning": ("modality_attentions.", "heads."),
}


def shaken(network: CmaClip) -> CmaClip:
    """No norm, bias or projection is left at a value that would hide a mistake."""
    torch.manual_seed(2)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def weights_of(state: dict[str, Tensor]) -> plain.Weights:
    return {name: tensor.double() for name, tensor in state.items() if tensor.is_floating_point()}


def listings_of(chunk: Examples) -> list[plain.Listing]:
    rows = zip(chunk.pictures, chunk.tokens, chunk.present.tolist(), chunk.labels.tolist(), strict=True)
    return [plain.Listing(torch.from_numpy(p), torch.from_numpy(t), tuple(has), tuple(k)) for p, t, has, k in rows]


# --- CLIP's towers ------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("activation", [plain.gelu, plain.quick_gelu])
def test_towers_give_all_patches_and_tokens_in_the_joint_space(tmp_path: Path, activation: plain.Activation) -> None:
    name = clip_folder(tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["quick_gelu"] = activation is plain.quick_gelu
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    network = shaken(tiny_network(tiny_preset(name)))
    weights, chunk = weights_of(network.state_dict()), examples(4)
    image = network.backbone.images(torch.from_numpy(chunk.pictures)).sequence
    title = network.backbone.titles(torch.from_numpy(chunk.tokens))
    for row, listing in enumerate(listings_of(chunk)):
        tokens, end = plain.title_tower(listing.tokens, weights, activation)
        patches = plain.image_tower(listing.picture, weights, activation)
        torch.testing.assert_close(image[row].double(), patches, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(title.sequence[row].double(), tokens, rtol=1e-3, atol=1e-4)
        assert title.end[row] == end


# --- Sequence-wise attention: equations 1 and 2 ---------------------------------------------------------------------


def signs_attention() -> SequenceWiseAttention:
    """One layer for rows that are ±(1, −1), which its norm leaves as they are: a row's score is ln 3 higher for its own
    kind than for the other, values are the rows themselves, and the MLP adds nothing."""
    attention = SequenceWiseAttention(width=2, layers=1, heads=1)
    (layer,) = attention.layers
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    nn.init.ones_(layer.attention_norm.weight)
    layer.query.weight.data = torch.eye(2) * log(3) / 2 * 2**0.5 / 2
    layer.key_value.weight.data = torch.cat([torch.eye(2), torch.eye(2)])
    layer.output.weight.data = torch.eye(2)
    return attention


def rows(*signs: int) -> Tensor:
    return torch.tensor([[[sign, -sign] for sign in signs]], dtype=torch.float32)


@torch.no_grad()
def test_equations_1_and_2_every_patch_and_token_attends_to_all_that_is_no_padding() -> None:
    (layer,) = signs_attention().layers
    assert isinstance(layer, EncoderLayer)
    sequence = rows(1, -1, 1, -1)
    # Weights 3 : 1 : 3 : 1 of the first row, so it adds (3 − 1 + 3 − 1) / 8 of (1, −1) to itself.
    all_seen = layer(sequence, sequence, torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(all_seen, rows(1, -1, 1, -1) * 1.5, rtol=1e-4, atol=0)
    # Without the last: (3 − 1 + 3) / 7 for the first, (−1 + 3 − 1) / 5 for the second.
    padded = layer(sequence, sequence, torch.tensor([[True, True, True, False]]))
    expected = torch.tensor([1 + 5 / 7, 1 + 1 / 5])
    torch.testing.assert_close(padded[0, :2, 0].abs(), expected, rtol=1e-4, atol=0)


@torch.no_grad()
def test_image_and_title_leave_at_class_and_end_of_text() -> None:
    """Of image (+, −) and title (+, +, −, padding +), with the end at the third token; the last norm leaves signs."""
    image, title = rows(1, -1), rows(1, 1, -1, 1)
    valid = torch.tensor([[True, True, True, True, True, False]])
    image_out, title_out = signs_attention()(image, title, valid, torch.tensor([2]))
    torch.testing.assert_close((image_out, title_out), (rows(1)[0], rows(-1)[0]), rtol=1e-4, atol=0)
    swapped_out, _ = signs_attention()(image.flip(1), title, valid, torch.tensor([2]))
    torch.testing.assert_close(swapped_out, rows(-1)[0], rtol=1e-4, atol=0)


# --- Modality-wise attention: equations 3 to 6 ----------------------------------------------------------------------


def keyless(image_out: list[float], title_out: list[float]) -> tuple[list[float], float]:
    """c and λ with w = (1, 2)."""
    attention = ModalityWiseAttention(width=2)
    attention.w.data = torch.tensor([1.0, 2.0])
    context, weight = attention(torch.tensor([image_out]), torch.tensor([title_out]), BOTH)
    return context[0].tolist(), weight.item()


def test_equation_4_the_images_energy_is_its_product_with_w() -> None:
    _, weight = keyless([3.0, -1.0], [0.0, 0.0])
    assert log(weight / (1 - weight)) == pytest.approx(1 * 3 + 2 * -1, rel=1e-5)


def test_equation_5_the_titles_energy_is_its_product_with_the_same_w() -> None:
    _, weight = keyless([0.0, 0.0], [3.0, -1.0])
    assert log((1 - weight) / weight) == pytest.approx(1 * 3 + 2 * -1, rel=1e-5)
    assert [name for name, _ in ModalityWiseAttention(width=2).named_parameters()] == ["w"]


def test_equation_6_lambda_is_the_images_share_of_the_softmax() -> None:
    _, weight = keyless([1.0, 1.0], [4.0, -1.0])
    assert weight == pytest.approx(exp(3) / (exp(3) + exp(2)), rel=1e-5)


def test_equation_3_the_context_is_the_weighted_sum() -> None:
    context, _ = keyless([1.0, 1.0], [4.0, -1.0])  # λ = 0.7310586
    assert context == pytest.approx([0.7310586 * 1 + 0.2689414 * 4, 0.7310586 * 1 - 0.2689414 * 1], rel=1e-5)


# --- Tasks ----------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_each_task_has_its_own_w_and_mlp(preset: Preset) -> None:
    network = shaken(tiny_network(preset))
    image_out, title_out = torch.randn(2, 5, network.backbone.width).unbind()
    present = torch.ones(5, 2, dtype=torch.bool)
    before = network.classify(image_out, title_out, present)
    network.modality_attentions[0].w.data += 1
    network.heads[0][-1].bias.data += 1
    after = network.classify(image_out, title_out, present)
    changed = [not torch.equal(old, new) for old, new in zip(before.logits, after.logits, strict=True)]
    assert changed == [True, False]
    assert (before.image_weight != after.image_weight).all(dim=0).tolist() == [True, False]


@torch.no_grad()
def test_the_network_equals_a_plain_one(preset: Preset) -> None:
    """Listings with both modalities, without a picture, without a title; titles of all lengths."""
    network, chunk = shaken(tiny_network(preset)), examples(8)
    pictures, tokens, present = (torch.from_numpy(part) for part in (chunk.pictures, chunk.tokens, chunk.present))
    encoded = network.encode(pictures, tokens, present)
    classified = network.classify(encoded.image_out, encoded.title_out, present)
    for row, listing in enumerate(listings_of(chunk)):
        expected = plain.cma_clip(listing, weights_of(network.state_dict()))
        found = encoded.image_out[row], encoded.title_out[row], *(task[row] for task in classified.logits)
        for own, other in zip(found, (expected.image_out, expected.title_out, *expected.logits), strict=True):
            torch.testing.assert_close(own.double(), other, rtol=1e-3, atol=1e-4)
        shares = torch.stack(expected.image_weight)
        torch.testing.assert_close(classified.image_weight[row].double(), shares, rtol=1e-3, atol=1e-5)


# --- Algorithm 1 ----------------------------------------------------------------------------------------------------


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


@torch.no_grad()
def test_titles_of_one_batch_may_be_padded_to_any_length(preset: Preset) -> None:
    network = shaken(tiny_network(preset))
    pictures, present = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.bool)
    short, long = (network.encode(pictures, titles([5, 6], [7], length=n), present) for n in (4, 11))
    torch.testing.assert_close(tuple(short), tuple(long))
