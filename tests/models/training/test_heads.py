"""Training of heads on features: what moves, what stays, and that it learns."""

from dataclasses import replace

import numpy as np
import torch

from models.engines.encoded_listings import EncodedListings
from models.training.heads import heads_preset, train_heads
from models.training.presets import Preset
from tests.models.tiny import WIDTH, tiny_network


def encoded(count: int, *, seed: int) -> EncodedListings:
    """Listings whose picture tells the colour and whose title tells the pattern; every tenth lacks one of the two."""
    random = np.random.default_rng(seed)
    labels = np.stack([random.integers(0, 3, count), random.integers(0, 2, count)], axis=1)
    labels[::7, 1] = -1
    image = np.eye(WIDTH, dtype=np.float32)[labels[:, 0]] * 3
    title = np.eye(WIDTH, dtype=np.float32)[8 + labels[:, 1].clip(0)] * 3
    noise = random.normal(0, 0.3, (2, count, WIDTH)).astype(np.float32)
    both = image + title
    present = np.ones((count, 2), dtype=bool)
    present[::20, 0] = present[10::20, 1] = False
    return EncodedListings(
        both + noise[0],
        both + noise[1],
        image,
        title,
        present,
        labels,
        feeds=np.array(["shop"] * count),
        products=np.arange(count).astype(str),
    )


def test_only_what_reads_the_features_moves_and_it_learns(preset: Preset) -> None:
    network = tiny_network(preset)
    network.pool[:] = 0.5
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    short = heads_preset(preset, 200)
    short = replace(short, stages=(replace(short.stages[0], epochs=12, learning_rate=0.01),))
    scores = train_heads(network, short, encoded(200, seed=0), encoded(80, seed=1))
    assert len(scores) == 13 and max(scores) > 0.95 > scores[0]
    moved = {
        name.split(".")[0] for name, tensor in network.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert moved == {"modality_attentions", "heads", "image_probes", "title_probes", "pool"}
    assert torch.equal(network.pool, torch.eye(3)[0].expand(2, 3))


def test_a_small_catalogue_is_seen_more_often(preset: Preset) -> None:
    epochs = [heads_preset(preset, listings).stages[0].epochs for listings in (1, 700, 3200, 70_000)]
    assert epochs == [60, 60, 20, 10]
