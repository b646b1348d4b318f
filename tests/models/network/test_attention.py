import math

import pytest
import torch
from torch import Tensor, nn

from models.network.attention import EncoderLayer, ModalityWiseAttention, SequenceWiseAttention

WIDTH, HEADS = 8, 2


def norm(x: Tensor, layer: nn.LayerNorm) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt(centred.pow(2).mean() + layer.eps) * layer.weight + layer.bias


def linear(x: Tensor, layer: nn.Linear) -> Tensor:
    return layer.weight @ x + layer.bias


def plain_layer(layer: EncoderLayer, rows: list[Tensor], valid: list[bool]) -> list[Tensor]:
    """One listing: every row looks at every valid row, one head after the other."""
    normal = [norm(row, layer.attention_norm) for row in rows]
    queries = [linear(row, layer.query) for row in normal]
    keys, values = zip(*(linear(row, layer.key_value).split(WIDTH) for row in normal), strict=True)
    size = WIDTH // HEADS
    out = []
    for row, query in zip(rows, queries, strict=True):
        heads = []
        for head in range(HEADS):
            own = slice(head * size, (head + 1) * size)
            powers = [
                math.exp(float(query[own] @ key[own]) / math.sqrt(size)) if seen else 0.0
                for key, seen in zip(keys, valid, strict=True)
            ]
            heads.append(sum(p / sum(powers) * value[own] for p, value in zip(powers, values, strict=True)))
        attended = row + linear(torch.cat(heads), layer.output)
        mlp_norm, up, _, down = layer.mlp
        hidden = linear(norm(attended, mlp_norm), up)
        gelu = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
        out.append(attended + linear(gelu, down))
    return out


def plain(
    attention: SequenceWiseAttention, image: Tensor, title: Tensor, valid: list[bool], end: int
) -> tuple[Tensor, Tensor]:
    rows = [*image, *title]
    for layer in attention.layers:
        rows = plain_layer(layer, rows, valid)
    return norm(rows[0], attention.norm), norm(rows[len(image) + end], attention.norm)


@pytest.fixture
def attention() -> SequenceWiseAttention:
    torch.manual_seed(3)
    attention = SequenceWiseAttention(width=WIDTH, layers=3, heads=HEADS).double()
    for parameter in attention.parameters():  # no norm or bias may be left at a value that hides a mistake
        nn.init.normal_(parameter, std=0.3)
    return attention


@torch.no_grad()
def test_sequence_wise_attention_equals_a_plain_one_that_computes_every_row(attention: SequenceWiseAttention) -> None:
    torch.manual_seed(4)
    image, title = torch.randn(4, 5, WIDTH).double(), torch.randn(4, 4, WIDTH).double()
    end = torch.tensor([3, 1, 2, 0])
    valid = torch.ones(4, 9, dtype=torch.bool)
    valid[1, 5 + 2 :] = False  # padding after a short title
    valid[2, :5] = False  # no picture
    valid[3, 5:] = False  # no title
    image_out, title_out = attention(image, title, valid, end)
    for row in range(4):
        expected = plain(attention, image[row], title[row], valid[row].tolist(), int(end[row]))
        torch.testing.assert_close((image_out[row], title_out[row]), expected, rtol=1e-9, atol=1e-9)


@torch.no_grad()
def test_what_is_masked_changes_nothing_at_all(attention: SequenceWiseAttention) -> None:
    attention = attention.float()
    torch.manual_seed(5)
    image, title = torch.randn(1, 5, WIDTH), torch.randn(1, 4, WIDTH)
    end = torch.tensor([1])
    seen = torch.tensor([[True] * 5 + [True, True, False, False]])
    no_picture, no_title = seen.clone(), seen.clone()
    no_picture[:, :5], no_title[:, 5:] = False, False

    other = title.clone()
    other[:, 2:] = 1e4
    assert torch.equal(attention(image, title, seen, end)[0], attention(image, other, seen, end)[0])
    assert torch.equal(attention(image, title, seen, end)[1], attention(image, other, seen, end)[1])
    assert torch.equal(attention(image, title, no_title, end)[0], attention(image, -7 * title, no_title, end)[0])
    assert torch.equal(attention(image, title, no_picture, end)[1], attention(-7 * image, title, no_picture, end)[1])


@torch.no_grad()
def test_the_last_rows_are_told_how_far_picture_and_title_agree() -> None:
    attention = SequenceWiseAttention(width=WIDTH, layers=1, heads=HEADS, reads_agreement=True)
    assert attention.agreement is not None
    image, title, told = torch.randn(2, 5, WIDTH), torch.randn(2, 4, WIDTH), torch.randn(2, WIDTH)
    given = image, title, torch.ones(2, 9, dtype=torch.bool), torch.tensor([3, 1])
    assert all(map(torch.equal, attention(*given, told), attention(*given, 0 * told)))  # at first it says nothing
    nn.init.normal_(attention.agreement.weight)
    rows = torch.stack([image[:, 0], torch.stack([title[0, 3], title[1, 1]])], dim=1)
    rows[:, 0] += told @ attention.agreement.weight[:WIDTH].T
    rows[:, 1] += told @ attention.agreement.weight[WIDTH:].T
    expected = attention.norm(attention.layers[0](rows, torch.cat([image, title], dim=1), given[2]))
    torch.testing.assert_close(torch.stack(attention(*given, told), dim=1), expected)


def test_modality_wise_attention_by_hand() -> None:
    attention = ModalityWiseAttention(width=2)
    assert {name: tuple(p.shape) for name, p in attention.named_parameters()} == {"w": (2,)}  # one w for both
    attention.w.data = torch.tensor([1.0, 2.0])
    image, title = torch.tensor([[1.0, 1.0]]), torch.tensor([[4.0, -1.0]])
    # e_I = 3, e_T = 2, so λ = e³ / (e³ + e²) = 0.7310586
    fused, weight = attention(image, title, torch.tensor([[True, True]]))
    torch.testing.assert_close(weight, torch.tensor([0.7310586]))
    torch.testing.assert_close(fused, torch.tensor([[0.7310586 + 4 * 0.2689414, 0.7310586 - 0.2689414]]))
    swapped, opposite = attention(title, image, torch.tensor([[True, True]]))
    torch.testing.assert_close(opposite, 1 - weight)
    torch.testing.assert_close(swapped, fused)


def test_a_missing_modality_weighs_exactly_nothing() -> None:
    torch.manual_seed(6)
    attention = ModalityWiseAttention(width=4)
    image, title = 50 * torch.randn(2, 4), 50 * torch.randn(2, 4)
    fused, weight = attention(image, title, torch.tensor([[False, True], [True, False]]))
    assert weight.tolist() == [0.0, 1.0]
    assert torch.equal(fused, torch.stack([title[0], image[1]]))
    fused.sum().backward()
    assert attention.w.grad is not None and torch.isfinite(attention.w.grad).all()
