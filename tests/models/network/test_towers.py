import json
from collections.abc import Callable
from pathlib import Path

import open_clip
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.towers import ClipBackbone, build_backbone
from models.training.presets import PRESETS, Preset
from schemas.errors import ConfigurationError
from tests.models.network.tower_folders import TOKENS, clip_of, noise, timm_folder
from tests.models.tiny import CONTEXT, TAXONOMY, WIDTH, clip_folder, tiny_network


@torch.no_grad()
def test_the_class_position_is_clips_own_image_embedding(backbone_name: str) -> None:
    clip = clip_of(backbone_name)
    pictures, normal = noise()
    expected = clip.encode_image(normal)
    image = ClipBackbone(clip).images(pictures)
    assert image.sequence.shape == (3, 1 + 4, WIDTH)
    torch.testing.assert_close(image.embedding, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(image.sequence[:, 0], image.embedding)


def pooled_value(patches: Tensor, pool: nn.Module) -> Tensor:
    """What timm's attention pooling gives of one patch: all weight is on it, so its value, and the MLP over that."""
    value = pool.proj(F.linear(patches, *(part.chunk(2)[1] for part in (pool.kv.weight, pool.kv.bias))))
    return value + pool.mlp(pool.norm(value))


@torch.no_grad()
def test_siglip_style(tmp_path: Path) -> None:
    siglip = {"no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6}}
    clip = clip_of(timm_folder(tmp_path, "tiny_siglip", "map", "none", **siglip))
    pictures, normal = noise()
    expected = clip.encode_image(normal), clip.encode_text(TOKENS)
    backbone = ClipBackbone(clip)
    image, title = backbone.images(pictures), backbone.titles(TOKENS)
    torch.testing.assert_close((image.embedding, title.embedding), expected, rtol=1e-4, atol=1e-5)
    assert image.sequence.shape == (3, 1 + 4, WIDTH)  # the pooled picture stands at the class position
    assert torch.equal(image.sequence[:, 0], image.embedding)
    patches = pooled_value(clip.visual.trunk.forward_features(normal), clip.visual.trunk.attn_pool)
    torch.testing.assert_close(image.sequence[:, 1:], patches, rtol=1e-4, atol=1e-5)
    assert title.end.tolist() == [CONTEXT - 1] * 3 and title.valid.all()  # the tower reads its padding, so we do, too


@torch.no_grad()
@pytest.mark.parametrize(
    ("tower", "pool", "projection", "side", "patch_count", "project"),
    [
        ("test_vit", "token", None, 160, 100, lambda v, x: v.trunk.head(x[:, 1:])),  # EVA, MobileCLIP-B
        ("test_vit3", "map", None, 160, 100, lambda v, x: v.trunk.head(pooled_value(x[:, 1:], v.trunk.attn_pool))),
        ("test_convnext", "", "linear", 160, 25, lambda v, x: v.head(v.trunk.head.norm(x).flatten(2).transpose(1, 2))),
        ("tiny_swin", "avg", "linear", 32, 64, lambda v, x: v.head(x.flatten(1, 2))),
    ],
)
def test_patches_of_timm_towers_are_projected_as_their_pictures(
    tmp_path: Path,
    tower: str,
    pool: str,
    projection: str | None,
    side: int,
    patch_count: int,
    project: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    width = {"width": 96} if tower == "test_vit3" else {}
    clip = clip_of(timm_folder(tmp_path, tower, pool, projection, side=side, **width))
    pictures, normal = noise(side)
    image = ClipBackbone(clip).images(pictures)
    torch.testing.assert_close(image.embedding, clip.encode_image(normal), rtol=1e-4, atol=1e-4)
    patches = project(clip.visual, clip.visual.trunk.forward_features(normal))
    assert patches.shape[1] == patch_count
    torch.testing.assert_close(image.sequence[:, 1:], patches, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_patches_are_normalised_where_the_tower_does_so_after_pooling(tmp_path: Path) -> None:
    """As CLIPA's."""
    folder = clip_folder(tmp_path)
    config = json.loads((tmp_path / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"] |= {"no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    clip = clip_of(folder)
    nn.init.normal_(clip.visual.ln_post.weight)
    pictures, normal = noise()
    expected, visual = clip.encode_image(normal), clip.visual
    image = ClipBackbone(clip).images(pictures)
    torch.testing.assert_close(image.embedding, expected, rtol=1e-4, atol=1e-5)
    patches = visual.ln_post(visual.transformer(visual._embeds(normal))[:, 1:]) @ visual.proj
    torch.testing.assert_close(image.sequence[:, 1:], patches, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def clip(backbone_name: str) -> open_clip.CustomTextCLIP:
    return clip_of(backbone_name)


@torch.no_grad()
def test_titles_are_clips_own_and_trimming_them_changes_nothing(clip: open_clip.CustomTextCLIP) -> None:
    backbone = ClipBackbone(clip)
    whole = backbone.titles(TOKENS)
    torch.testing.assert_close(whole.embedding, clip.encode_text(TOKENS))
    assert whole.end.tolist() == [4, 2, 1]
    assert whole.valid.sum(dim=1).tolist() == [5, 3, 2]
    trimmed = backbone.titles(TOKENS[:, :5])
    torch.testing.assert_close(trimmed.embedding, whole.embedding)
    torch.testing.assert_close(trimmed.sequence, whole.sequence[:, :5])
    assert torch.equal(trimmed.end, whole.end) and torch.equal(trimmed.valid, whole.valid[:, :5])


@torch.no_grad()
def test_title_dropout_acts_while_the_title_tower_trains(backbone_name: str) -> None:
    backbone = ClipBackbone(clip_of(backbone_name)).eval()
    backbone.title_dropout, still = 0.5, backbone.titles(TOKENS).embedding
    backbone.visual.train()
    assert torch.equal(backbone.titles(TOKENS).embedding, still)
    backbone.text.train()
    assert not torch.equal(backbone.titles(TOKENS).embedding, still)


@torch.no_grad()
@pytest.mark.parametrize("text", [{"no_causal_mask": True, "proj_bias": True}, {}])
def test_a_tower_that_sees_its_padding_gets_it_back(tmp_path: Path, text: dict[str, object]) -> None:
    """As SigLIP's, whose every position looks at every other and whose embedding is the last one's."""
    clip = clip_of(clip_folder(tmp_path, pool_type="last", **text))
    backbone = ClipBackbone(clip)
    assert not backbone.trims_titles
    torch.testing.assert_close(backbone.titles(TOKENS[:, :5]).embedding, clip.encode_text(TOKENS))
    assert backbone.titles(TOKENS[:, :5]).sequence.shape == (3, CONTEXT, WIDTH)


@torch.no_grad()
def test_end_of_text_by_id(tmp_path: Path) -> None:
    backbone = ClipBackbone(clip_of(clip_folder(tmp_path, pool_type="eos", eos_id=7)))
    assert backbone.titles(TOKENS).end[0] == 3


@pytest.mark.parametrize("text", [{"embed_cls": True}, {"pool_type": "first"}])
def test_text_towers_that_cannot_be_read_are_refused(tmp_path: Path, text: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="text tower"):
        build_backbone(clip_folder(tmp_path, **text), pretrained=None, random_weights=True)


@torch.no_grad()
def test_the_order_of_a_batch_does_not_matter(preset: Preset) -> None:
    network = tiny_network(preset)
    pictures = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    present = torch.tensor([[True, True], [True, False], [False, True]])
    order = [2, 0, 1]
    encoded = network.encode(pictures, TOKENS, present)
    shuffled = network.encode(pictures[order], TOKENS[order], present[order])
    for part, other in zip(encoded, shuffled, strict=True):
        torch.testing.assert_close(part[order], other)


@torch.no_grad()
def test_small_has_a_class_position_and_96_patches() -> None:
    network = PRESETS["small"].build(TAXONOMY, load_pretrained=True).eval()
    assert network.backbone.image_size == (192, 120)
    image = network.backbone.images(torch.zeros(2, 192, 120, 3, dtype=torch.uint8))
    assert image.sequence.shape == (2, 97, 128)
    torch.testing.assert_close(image.embedding, image.sequence[:, 1:].mean(dim=1))  # both are the same projection
