"""A model's weights on disk: safetensors, whose SHA-256 is checked against the card. Nothing is ever unpickled."""

import json
from dataclasses import asdict
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from models.engines.interface import EngineIdentity
from models.lifecycle.card import CARD, WEIGHTS, ModelCard
from models.network.cma_clip import CmaClip
from schemas.errors import UserError
from schemas.files import sha256_of

_ENCODER = ("backbone.", "sequence_attention.")  # the weights that features depend on


def save_weights(network: CmaClip, folder: Path) -> str:
    """Writes the weights; returns their SHA-256."""
    path = folder / WEIGHTS
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, path)
    return sha256_of(path)


def load_network(folder: Path, card: ModelCard) -> CmaClip:
    """The network with its trained weights, on the CPU, ready to infer. UserError where they are missing or damaged."""
    path = folder / WEIGHTS
    if not path.exists() or sha256_of(path) != card.weights:
        raise UserError(
            f"{path} is missing or not the file that was trained (its SHA-256 differs from {CARD}): restore it from a "
            "backup, or train again with `cma train`"
        )
    network = card.preset.build(card.taxonomy, load_pretrained=False)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} does not fit the network that {CARD} describes: {error}") from error
    return network.eval()


def encoder_key(folder: Path, card: ModelCard, engine: EngineIdentity) -> str:
    """The cache key of the features that the model in `folder` makes on an engine. Models share it that differ only in
    what reads the features: modality-wise attentions, heads, probes, thresholds, noise rules."""
    shape = card.preset.architecture
    facts = {
        "code": version("cma-tagger"),
        "engine": asdict(engine),
        "backbone": [shape.backbone, card.preset.pretrained, card.image_size, card.context_length],
        "attention": [shape.sequence_attention, shape.attention_layers, shape.attention_heads],
    }
    if shape.picture_tower:
        facts["picture_tower"] = asdict(shape.picture_tower)
    digest = blake2b(json.dumps(facts).encode(), digest_size=16)
    with safe_open(folder / WEIGHTS, "numpy") as weights:
        for name in sorted(weights.keys()):
            if name.startswith(_ENCODER):
                tensor = weights.get_tensor(name)
                digest.update(f"\0{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
                digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()
