"""Backbones of several kinds, for engines on NVIDIA cards."""

import json
from pathlib import Path

from tests.models.network.tower_folders import timm_folder
from tests.models.tiny import clip_folder


def towers(folder: Path) -> dict[str, str]:
    """Backbones whose exports have different operators, by the model that they resemble."""

    def named(name: str, *shape: object, **options: object) -> str:
        (folder / name).mkdir()
        return timm_folder(folder / name, *shape, **options)

    def with_quick_gelu(name: str) -> str:
        """The activation of OpenAI's own weights."""
        config = folder / "openai" / "open_clip_config.json"
        content = json.loads(config.read_text())
        content["model_cfg"]["quick_gelu"] = True
        config.write_text(json.dumps(content))
        return name

    padded = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last"}
    return {
        "OpenAI": with_quick_gelu(clip_folder(folder / "openai")),
        "SigLIP": named("siglip", "tiny_siglip", "map", "none", **padded),
        "ConvNeXt": named("convnext", "test_convnext", "", "linear", side=160),
        "small": named("small", "cma_small_convnet", "", "linear"),
    }
