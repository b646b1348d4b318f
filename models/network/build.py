"""Builds the network of an architecture for the attributes of a taxonomy."""

import torch

from models.network.architecture import Architecture
from models.network.cma_clip import CmaClip
from models.network.towers import build_backbone
from schemas.taxonomy import Taxonomy


def build_network(
    shape: Architecture,
    taxonomy: Taxonomy,
    *,
    pretrained: str | None,
    picture_weights: str | None = None,
    seed: int,
    load_pretrained: bool,
) -> CmaClip:
    """The network of `shape`, with one head for each attribute of `taxonomy`, over its values and "none of these".

    `pretrained` is an open_clip tag or checkpoint file, `picture_weights` those of a `PictureTower`. `pretrained` also
    decides how pictures are normalised, so a network whose trained weights are loaded afterwards needs it, too
    (`load_pretrained=False`). `seed` draws the random weights.
    """
    torch.manual_seed(seed)
    from_scratch = pretrained is None and ":" not in shape.backbone  # `hf-hub:` and `local-dir:` bring weights
    random_weights = from_scratch or not load_pretrained
    backbone = build_backbone(
        shape.backbone,
        pretrained=pretrained,
        random_weights=random_weights,
        picture_tower=shape.picture_tower,
        picture_weights=picture_weights if load_pretrained else None,
        title_tower=shape.title_tower,
    )
    return CmaClip(
        backbone,
        classes=taxonomy.class_counts,
        attention_layers=shape.attention_layers,
        attention_heads=shape.attention_heads,
        hidden=shape.hidden,
        dropout=shape.dropout,
        attention_dropout=shape.attention_dropout,
        reads_agreement=shape.reads_agreement,
        sequence_attention=shape.sequence_attention,
        modality_attention=shape.modality_attention,
    )
