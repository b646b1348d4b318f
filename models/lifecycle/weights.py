"""A model's weights on disk: safetensors, checked against the card. Nothing is ever unpickled."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.lifecycle.card import CARD, WEIGHTS, ModelCard, sha256_of
from models.network.cma_clip import CmaClip
from models.network.towers import build_backbone
from models.training.presets import Preset
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy


def build_network(preset: Preset, taxonomy: Taxonomy, *, load_pretrained: bool) -> CmaClip:
    """The network of a preset for the attributes of a taxonomy; without pretrained weights it is seeded."""
    torch.manual_seed(preset.seed)
    shape = preset.architecture
    from_scratch = preset.pretrained is None and ":" not in shape.backbone  # `hf-hub:` and `local-dir:` bring weights
    backbone = build_backbone(
        shape.backbone,
        pretrained=preset.pretrained,  # also tells how pictures are normalised
        random_weights=from_scratch or not load_pretrained,
    )
    return CmaClip(
        backbone,
        classes=[len(attribute.value_names) for attribute in taxonomy.attributes],
        attention_layers=shape.attention_layers,
        attention_heads=shape.attention_heads,
        hidden=shape.hidden,
        dropout=shape.dropout,
        sequence_attention=shape.sequence_attention,
        modality_attention=shape.modality_attention,
    )


def save_weights(network: CmaClip, folder: Path) -> str:
    """Writes the weights; returns their SHA-256."""
    path = folder / WEIGHTS
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}, path)
    return sha256_of(path)


def load_network(folder: Path, card: ModelCard) -> CmaClip:
    """The network with its trained weights, on the CPU, ready to infer."""
    path = folder / WEIGHTS
    if not path.exists() or sha256_of(path) != card.weights:
        raise UserError(
            f"{path} is missing or not the file that was trained (its SHA-256 differs from {CARD}): restore it from a "
            "backup, or train again with `cma train`"
        )
    network = build_network(card.preset, card.taxonomy, load_pretrained=False)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path} does not fit the network that {CARD} describes: {error}") from error
    return network.eval()
