"""The paper (Liu et al. 2021) in its order: towers, equations 1–6, heads, Algorithm 1. docs/paper.md is the index."""

import json
from math import exp, log
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.network.attention import EncoderLayer, ModalityWiseAttention, SequenceWiseAttention
from models.training.presets import Preset
from tests.models.network import plain_cma_clip as plain
from tests.models.network.plain_inputs import listings_of, shaken, weights_of
from tests.models.tiny import clip_folder, examples, tiny_network, tiny_preset, titles

BOTH = torch.tensor([[True, True]])


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


@torch.no_grad()
def test_titles_of_one_batch_may_be_padded_to_any_length(preset: Preset) -> None:
    network = shaken(tiny_network(preset))
    pictures, present = torch.zeros(2, 32, 32, 3, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.bool)
    short, long = (network.encode(pictures, titles([5, 6], [7], length=n), present) for n in (4, 11))
    torch.testing.assert_close(tuple(short), tuple(long))
