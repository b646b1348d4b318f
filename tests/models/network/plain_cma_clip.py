"""CMA-CLIP and Algorithm 1 a second time, for tests to hold the network against: plain functions of its state dict that
take one listing after the other, compute every row of every layer, and share no code with `models`."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Weights = dict[str, Tensor]
Activation = Callable[[Tensor], Tensor]

HEADS = 2  # of all attentions of the tiny network
PATCH = 16  # pixels
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


class Listing(NamedTuple):
    """Picture (H, W, 3) of 0–255, token ids (T), which of the two there is, and a label per task (−1: none)."""

    picture: Tensor
    tokens: Tensor
    present: tuple[bool, bool]
    labels: tuple[int, ...]


class Outputs(NamedTuple):
    """I′ (D), T′ (D); per task the logits and λ."""

    image_out: Tensor
    title_out: Tensor
    logits: list[Tensor]
    image_weight: list[Tensor]


def linear(x: Tensor, w: Weights, name: str) -> Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def norm(x: Tensor, w: Weights, name: str) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def quick_gelu(x: Tensor) -> Tensor:
    return x / (1 + (-1.702 * x).exp())


def attention(query: Tensor, key: Tensor, value: Tensor, seen: Tensor) -> Tensor:
    """softmax(QKᵀ/√d)V a head; `seen` (rows, rows) says what each row may look at."""
    out = []
    for q, k, v in zip(*(part.chunk(HEADS, dim=-1) for part in (query, key, value)), strict=True):
        powers = (q @ k.T / math.sqrt(q.shape[-1])).exp() * seen
        out.append(powers / powers.sum(-1, keepdim=True) @ v)
    return torch.cat(out, dim=-1)


def clip_layers(x: Tensor, w: Weights, name: str, seen: Tensor, activation: Activation) -> Tensor:
    """CLIP's own transformer."""
    layer = 0
    while f"{name}.{layer}.ln_1.weight" in w:
        block = f"{name}.{layer}"
        normal = norm(x, w, f"{block}.ln_1")
        joint = normal @ w[f"{block}.attn.in_proj_weight"].T + w[f"{block}.attn.in_proj_bias"]
        x = x + linear(attention(*joint.chunk(3, dim=-1), seen), w, f"{block}.attn.out_proj")
        hidden = activation(linear(norm(x, w, f"{block}.ln_2"), w, f"{block}.mlp.c_fc"))
        x = x + linear(hidden, w, f"{block}.mlp.c_proj")
        layer += 1
    return x


def image_tower(picture: Tensor, w: Weights, activation: Activation) -> Tensor:
    """(1 + P, D): the class position and all patches, each projected into the joint space."""
    name = "backbone.visual"
    kernel = w[f"{name}.conv1.weight"]
    normal = (picture.to(kernel) / 255 - torch.tensor(CLIP_MEAN).to(kernel)) / torch.tensor(CLIP_STD).to(kernel)
    rows = [w[f"{name}.class_embedding"]]
    for top in range(0, picture.shape[0], PATCH):
        for left in range(0, picture.shape[1], PATCH):
            square = normal[top : top + PATCH, left : left + PATCH]
            rows.append(kernel.flatten(1) @ square.permute(2, 0, 1).flatten())
    x = norm(torch.stack(rows) + w[f"{name}.positional_embedding"], w, f"{name}.ln_pre")
    x = clip_layers(x, w, f"{name}.transformer.resblocks", torch.ones(len(x), len(x)), activation)
    return norm(x, w, f"{name}.ln_post") @ w[f"{name}.proj"]


def title_tower(tokens: Tensor, w: Weights, activation: Activation) -> tuple[Tensor, int]:
    """(T, D), each token projected into the joint space; and the end-of-text position (its id is the highest)."""
    name, length = "backbone.text", len(tokens)
    x = w[f"{name}.token_embedding.weight"][tokens] + w[f"{name}.positional_embedding"][:length]
    before = torch.ones(length, length).tril()
    x = clip_layers(x, w, f"{name}.transformer.resblocks", before, activation)
    return norm(x, w, f"{name}.ln_final") @ w[f"{name}.text_projection"], tokens.tolist().index(int(tokens.max()))


def sequence_wise_attention(rows: Tensor, seen: Tensor, w: Weights) -> Tensor:
    """All rows after a pre-norm transformer encoder, of which no row looks at what is not `seen` (rows)."""
    layer = 0
    while f"sequence_attention.layers.{layer}.query.weight" in w:
        name = f"sequence_attention.layers.{layer}"
        normal = norm(rows, w, f"{name}.attention_norm")
        key, value = linear(normal, w, f"{name}.key_value").chunk(2, dim=-1)
        attended = attention(linear(normal, w, f"{name}.query"), key, value, seen.expand(len(rows), -1))
        rows = rows + linear(attended, w, f"{name}.output")
        hidden = gelu(linear(norm(rows, w, f"{name}.mlp.0"), w, f"{name}.mlp.1"))
        rows = rows + linear(hidden, w, f"{name}.mlp.3")
        layer += 1
    return norm(rows, w, "sequence_attention.norm")


def modality_wise_attention(
    image_out: Tensor, title_out: Tensor, present: tuple[bool, bool], w: Tensor
) -> tuple[Tensor, Tensor]:
    """c = λI′ + (1−λ)T′ and λ; a modality that is not there has no say."""
    image_power = (w @ image_out).exp() * present[0]
    title_power = (w @ title_out).exp() * present[1]
    share = image_power / (image_power + title_power)
    return share * image_out + (1 - share) * title_out, share


def cma_clip(listing: Listing, w: Weights, activation: Activation = gelu) -> Outputs:
    image = image_tower(listing.picture, w, activation)
    title, end = title_tower(listing.tokens, w, activation)
    seen = [listing.present[0]] * len(image) + [listing.present[1] and place <= end for place in range(len(title))]
    rows = sequence_wise_attention(torch.cat([image, title]), torch.tensor(seen).to(image), w)
    image_out, title_out = rows[0], rows[len(image) + end]
    logits, shares = [], []
    while (name := f"modality_attentions.{len(logits)}.w") in w:
        context, share = modality_wise_attention(image_out, title_out, listing.present, w[name])
        head = f"heads.{len(logits)}"
        logits.append(linear(linear(context, w, f"{head}.0").clamp(min=0), w, f"{head}.3"))
        shares.append(share)
    return Outputs(image_out, title_out, logits, shares)


def loss(listings: list[Listing], w: Weights) -> Tensor:
    """The sum over tasks of the mean cross-entropy of the listings that have a label of the task."""
    outputs = [cma_clip(listing, w).logits for listing in listings]
    total = torch.zeros((), dtype=torch.float64)
    for task in range(len(outputs[0])):
        lost = [
            logits[task].exp().sum().log() - logits[task][listing.labels[task]]
            for logits, listing in zip(outputs, listings, strict=True)
            if listing.labels[task] >= 0
        ]
        total = total + sum(lost) / len(lost)
    return total


def stage(w: Weights, listings: list[Listing], *, moving: tuple[str, ...], steps: int, rate: float) -> Weights:
    """One stage of Algorithm 1 on one batch of all listings: Adam (Kingma and Ba 2015) with decay 1e-4 added to the
    gradient moves the weights whose names begin so; all others stay."""
    w = dict(w)
    names = [name for name in w if name.startswith(moving)]
    first, second = ({name: torch.zeros_like(w[name]) for name in names} for _ in range(2))
    for step in range(1, steps + 1):
        leaves = {name: w[name].clone().requires_grad_() for name in names}
        gradients = torch.autograd.grad(loss(listings, {**w, **leaves}), list(leaves.values()))
        for name, gradient in zip(names, gradients, strict=True):
            pull = gradient + 1e-4 * w[name]
            first[name] = 0.9 * first[name] + 0.1 * pull
            second[name] = 0.999 * second[name] + 0.001 * pull.square()
            mean, spread = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            w[name] = w[name] - rate * mean / (spread.sqrt() + 1e-8)
    return w
