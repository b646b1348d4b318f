"""A network small enough for a test: open_clip builds it from a local folder, so nothing is faked."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image
from safetensors.torch import save_file

from models.inputs.examples import Examples
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.weights import save_weights
from models.network.build import Architecture
from models.network.cma_clip import CmaClip
from models.rules.certificates import Calibration, Certificate, Certificates, Promise
from models.rules.noise.rules import NoiseRules
from models.training.presets import PRESETS, Preset
from schemas.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {"color": {"values": ["red", "green", "blue"]}, "pattern": {"values": ["plain", "striped"]}},
)
START, END = 49406, 49407  # of CLIP's vocabulary
SIDE, CONTEXT, WIDTH = 32, 16, 16

CONFIG = {
    "embed_dim": WIDTH,
    "vision_cfg": {"image_size": SIDE, "patch_size": 16, "width": 16, "layers": 1, "head_width": 8},
}
TEXT = {"context_length": CONTEXT, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}


def clip_folder(folder: Path, **text: object) -> str:
    """The `local-dir:` name of a tiny open_clip model; `text` overrides keys of its text tower."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": {**CONFIG, "text_cfg": {**TEXT, **text}}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return f"local-dir:{folder}"


def clip_folder_with_weights(folder: Path) -> str:
    """`clip_folder` with random weights: a model that starts from a folder without any is refused."""
    name = clip_folder(folder)
    torch.manual_seed(0)
    clip = open_clip.create_model(name, load_weights=False, force_custom_text=True)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    return name


def tiny_preset(backbone: str, name: str = "vit-b-32", **changes: object) -> Preset:
    """A preset's training around the tiny network, without dropout; small batches, one pass a stage."""
    shape = Architecture(backbone=backbone, attention_layers=2, attention_heads=2, hidden=8)
    stages = tuple(replace(stage, epochs=1) for stage in PRESETS[name].stages)
    base = replace(PRESETS[name], architecture=shape, pretrained=None, stages=stages, batch=8, micro_batch=8)
    return replace(base, **changes)


def tiny_network(preset: Preset) -> CmaClip:
    """An untrained network whose sequence-wise attention mixes its rows, as that of a trained one."""
    network = preset.build(TAXONOMY, load_pretrained=False).eval()
    for layer in getattr(network.sequence_attention, "layers", ()):
        for last in (layer.output, layer.mlp[-1]):
            last.reset_parameters()
    return network


def titles(*rows: list[int], length: int | None = None) -> torch.Tensor:
    """Token ids of titles, between start and end, padded with zeros."""
    length = length or max(len(row) for row in rows) + 2
    return torch.tensor([[START, *row, END] + [0] * (length - len(row) - 2) for row in rows])


def examples(count: int, *, seed: int = 0, size: tuple[int, int] = (SIDE, SIDE), length: int = 8) -> Examples:
    """Listings of which the first has no picture, the second no title, the third no label of the first task."""
    random = np.random.default_rng(seed)
    words = [random.integers(1, 400, random.integers(1, length - 1)).tolist() for _ in range(count)]
    present = np.ones((count, 2), dtype=bool)
    labels = np.stack([random.integers(0, 3, count), random.integers(0, 2, count)], axis=1)
    if count >= 3:
        present[0, 0] = present[1, 1] = False
        words[1] = []
        labels[2, 0] = -1
    shade = random.integers(0, 256, (count, 1, 1, 3))
    grain = random.integers(-40, 40, (count, *size, 3))
    pictures = np.clip(shade + grain, 0, 255).astype(np.uint8) * present[:, :1, None, None]
    return Examples(
        pictures,
        titles(*words, length=length).numpy(),
        present,
        labels,
        np.array(["shop"] * count),
        np.arange(count).astype(str),
    )


def unlabelled(count: int, **options: object) -> Examples:
    """Validation that finds every epoch equally good, so that the last one is kept."""
    whole = examples(count, **options)
    return replace(whole, labels=np.full_like(whole.labels, -1))


def model_folder(folder: Path, preset: Preset, *, threshold: float | None = None) -> ModelCard:
    """Writes a model with random weights and returns its card."""
    network = tiny_network(preset)
    folder.mkdir(parents=True, exist_ok=True)
    card = ModelCard(
        version="20260101-000000-abcdef01",
        created_at="2026-01-01T00:00:00+00:00",
        preset=preset,
        taxonomy=TAXONOMY,
        image_size=network.backbone.image_size,
        context_length=network.backbone.context_length,
        trims_titles=network.backbone.trims_titles,
        weights=save_weights(network, folder),
        target_precision=0.9,
        confidence=0.95,
        certificates=certificates(threshold),
        noise=NoiseRules(
            image_temperatures=[1.0, 1.0],
            title_temperatures=[1.0, 1.0],
            mismatch=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0],
            priors=[[0.2, 0.3, 0.4, 0.1], [0.5, 0.4, 0.1]],
            thresholds={"mismatch": 0.0, "modality_conflict": 0.0, "label_conflict": 0.0},
            quality={"mismatch": {"auroc": 0.5}},
        ),
        feeds=["shop"],
        listings={"train": 3, "validation": 0, "calibration": 0, "test": 0},
        history={"warm-up": [0.25, 0.5]},
        metrics={"color": {"recall": 0.5}},
    )
    write_card(card, folder)
    return card


def certificates(threshold: float | None, *, feed: str = "shop") -> Certificates:
    """Colours of the feed, and of all feeds together, from a threshold on; nothing certified of patterns."""
    made = {
        "color": _calibration([threshold] * 3, temperature=1.5),
        "pattern": _calibration([None] * 2, temperature=1.0),
    }
    return Certificates(Promise(), made, {feed: made})


def _calibration(thresholds: list[float | None], *, temperature: float) -> Calibration:
    certificate = Certificate(50, thresholds[0], 0, 0, None, None)
    return Calibration(temperature, 0.1, 0.05, certificate, {}, thresholds, [0.5] * 50, 50)


def jpeg(color: tuple[int, int, int] = (200, 30, 30), size: tuple[int, int] = (48, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "JPEG", quality=95)
    return out.getvalue()
