"""The parts of a network that a stage moves or freezes."""

from torch import nn

from models.network.cma_clip import CmaClip
from models.training.presets import Stage


def freeze_other_parts(network: CmaClip, stage: Stage) -> None:
    """Lets gradients reach the stage's parts only; CLIP's logit scale moves where both towers do."""
    for part, modules in _modules(network).items():
        for module in modules:
            module.requires_grad_(part in stage.parts)
    network.backbone.logit_scale.requires_grad_(stage.moves_both_towers)


def set_training_mode(network: CmaClip, stage: Stage) -> None:
    """Puts the stage's parts into training mode. Frozen parts stay in evaluation mode, so that their batch statistics
    do not move; only a title tower whose embeddings drop out trains although it may be frozen."""
    for part, modules in _modules(network).items():
        for module in modules:
            module.train(part in stage.parts)
    network.backbone.text.train(stage.title_dropout > 0 or "title_tower" in stage.parts)


def _modules(network: CmaClip) -> dict[str, list[nn.Module]]:
    return {
        "image_tower": [network.backbone.visual],
        "title_tower": [network.backbone.text],
        "probes": [network.image_probes, network.title_probes],
        "sequence_attention": [network.sequence_attention, network.matching],
        "modality_attention": [network.modality_attentions],
        "heads": [network.heads],
    }
