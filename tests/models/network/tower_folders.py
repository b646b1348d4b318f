"""Tiny towers of several kinds, and folders that open_clip builds them from."""

import json
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from timm.models._efficientnet_builder import decode_arch_def
from timm.models.efficientnet import EfficientNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from tests.models.tiny import CONTEXT, SIDE, TEXT, WIDTH, titles

TOKENS = titles([5, 6, 7], [320], [], length=CONTEXT)


@timm.models.register_model
def tiny_siglip(pretrained: bool = False, *, num_classes: int, global_pool: str, **_: Any) -> VisionTransformer:
    """As SigLIP's image tower: no class position; an attention pooling instead."""
    shape: dict[str, Any] = {"img_size": SIDE, "patch_size": 16, "embed_dim": WIDTH, "depth": 1, "num_heads": 2}
    return VisionTransformer(class_token=False, num_classes=num_classes, global_pool=global_pool, **shape)


@timm.models.register_model
def tiny_swin(pretrained: bool = False, **_: Any) -> SwinTransformer:
    swin = SwinTransformer(img_size=SIDE, patch_size=4, embed_dim=16, depths=(1,), num_heads=(2,), window_size=4)
    swin.default_cfg = {}
    return swin


@timm.models.register_model
def tiny_lite(pretrained: bool = False, **_: Any) -> EfficientNet:
    """As `tf_efficientnet_lite0`: its strided convolutions pad the picture themselves, unevenly."""
    blocks = decode_arch_def([["ds_r1_k3_s1_e1_c8"], ["ir_r1_k3_s2_e2_c16"], ["ir_r1_k5_s2_e2_c16"]])
    trunk = EfficientNet(blocks, num_classes=3, num_features=24, stem_size=8, pad_type="same")
    trunk.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "input_size": (3, SIDE, SIDE)}
    return trunk


def timm_folder(
    folder: Path, tower: str, pool: str, projection: str | None, *, side: int = SIDE, **text: object
) -> str:
    """The `local-dir:` name of a tiny model whose image tower is timm's."""
    width = {"test_vit3": 96}.get(tower, WIDTH)
    vision = {"image_size": side, "timm_model_name": tower, "timm_pool": pool, "timm_proj": projection}
    config = {"embed_dim": width, "custom_text": True, "vision_cfg": vision, "text_cfg": {**TEXT, **text}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    return f"local-dir:{folder}"


def noise(side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Pictures, and what CLIP makes of them before its image tower."""
    pictures = torch.randint(0, 256, (3, side, side, 3), dtype=torch.uint8)
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    return pictures, ((pictures / 255 - mean) / std).permute(0, 3, 1, 2)


def clip_of(name: str) -> open_clip.CustomTextCLIP:
    torch.manual_seed(0)
    clip = open_clip.create_model(name, load_weights=False, force_custom_text=True)
    assert isinstance(clip, open_clip.CustomTextCLIP)
    return clip.eval()
