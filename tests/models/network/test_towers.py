import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.towers import ClipBackbone, _normalisation, build_backbone, title_tokenizer
from models.training.presets import PRESETS, Preset, preset
from schemas.errors import ConfigurationError
from tests.models.tiny import CONTEXT, SIDE, TAXONOMY, TEXT, WIDTH, clip_folder, tiny_network, titles

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


@pytest.fixture(scope="module")
def clip(backbone_name: str) -> open_clip.CustomTextCLIP:
    return clip_of(backbone_name)


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


def test_presets_name_weights_that_were_trained_with_the_networks_activation() -> None:
    """open_clip only warns where `ViT-B-32` is given OpenAI's weights, which need QuickGELU."""
    for known in PRESETS.values():
        if known.pretrained:
            name = known.architecture.backbone
            tag = open_clip.get_pretrained_cfg(name, known.pretrained)
            assert tag and tag.get("quick_gelu", False) == open_clip.get_model_config(name).get("quick_gelu", False)


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"model\.backbone: open_clip has no model 'ViT-Z-99'"):
        build_backbone("ViT-Z-99", pretrained=None, random_weights=True)


def test_weights_are_never_random_unless_asked_for(tmp_path: Path) -> None:
    name = clip_folder(tmp_path / "clip")
    for backbone, weights in (("cma-small", None), ("cma-small", str(tmp_path / "none.pt")), (name, None)):
        with pytest.raises(ConfigurationError, match=r"model\.pretrained"):
            build_backbone(backbone, pretrained=weights)
    with pytest.raises(ConfigurationError, match=r"model\.pretrained"):  # a folder brings its weights, or is refused
        preset("small", backbone=name).build(TAXONOMY, load_pretrained=True)


def test_checkpoint_files_load_whole_or_not_at_all(tmp_path: Path) -> None:
    weights = clip_of(clip_folder(tmp_path / "clip")).state_dict()
    weights["visual.class_embedding"] = torch.full((16,), 0.5)
    name, file = f"local-dir:{tmp_path / 'clip'}", tmp_path / "clip" / "open_clip_model.safetensors"
    save_file(weights, file)
    loaded = build_backbone(name, pretrained=None)
    assert loaded.visual.state_dict()["class_embedding"].tolist() == [0.5] * 16

    save_file({key: value for key, value in weights.items() if key != "visual.class_embedding"}, file)
    with pytest.raises(ConfigurationError, match="class_embedding"):
        build_backbone(name, pretrained=None)
    file.write_bytes(b"not a checkpoint")
    with pytest.raises(ConfigurationError, match="could not be loaded"):
        build_backbone(name, pretrained=None)


@torch.no_grad()
@pytest.mark.parametrize("suffix", ["safetensors", "bin"])
def test_checkpoints_of_plain_clip_load_whole_or_say_what_is_missing(tmp_path: Path, suffix: str) -> None:
    """OpenAI's and most of open_clip's are of `CLIP`, whose text tower's tensors have no prefix."""
    name, file = clip_folder(tmp_path), tmp_path / f"open_clip_pytorch_model.{suffix}"
    save = save_file if suffix == "safetensors" else torch.save
    torch.manual_seed(1)
    clip = open_clip.create_model(name, load_weights=False).eval()
    assert type(clip) is open_clip.CLIP
    weights = clip.state_dict()
    save(weights, file)
    backbone = build_backbone(name, pretrained=None).eval()
    pictures, normal = noise()
    found = backbone.images(pictures).embedding, backbone.titles(TOKENS).embedding
    torch.testing.assert_close(found, (clip.encode_image(normal), clip.encode_text(TOKENS)), rtol=1e-4, atol=1e-5)

    for lost, named in (("visual.proj", "visual.proj"), ("ln_final.bias", "text.ln_final.bias")):
        save({key: value for key, value in weights.items() if key != lost}, file)
        with pytest.raises(ConfigurationError, match=rf'Missing key\(s\) in state_dict: "{named}"'):
            build_backbone(name, pretrained=None)
    save({**weights, "visual.proj": torch.zeros(3, 3)}, file)
    with pytest.raises(ConfigurationError, match=r"size mismatch for visual\.proj"):
        build_backbone(name, pretrained=None)
    strange: list[Any] = [{"weight": torch.zeros(2)}, {}]
    for content in strange if suffix == "safetensors" else [*strange, [1, 2], torch.zeros(2), {"state_dict": 3}]:
        save(content, file)
        with pytest.raises(ConfigurationError, match="could not be loaded"):
            build_backbone(name, pretrained=None)


def test_an_unknown_tag_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'opanai' of ViT-B-32-quickgelu .* knows \(openai, "):
        build_backbone("ViT-B-32-quickgelu", pretrained="opanai")


def test_pictures_are_normalised_as_those_the_weights_were_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """By tag, by file, and when a trained network is built again without loading the tag's weights."""
    half = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
    assert _normalisation("ViT-B-16-SigLIP", "webli") == _normalisation("ViT-B-16-SigLIP", "siglip.npz") == half
    assert _normalisation("ViT-L-14", "laion2b_s32b_b82k") == half
    assert _normalisation("ViT-L-14", "openai")["mean"] == open_clip.OPENAI_DATASET_MEAN
    assert _normalisation("ViT-L-14", "clip.pt") == {}  # its tags disagree
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "cma-small", {"half": {"url": "", **half}})
    for pretrained in ("half", None):
        backbone = build_backbone("cma-small", pretrained=pretrained, random_weights=True)
        assert backbone.normalise.mean.tolist() == backbone.normalise.std.tolist() == [127.5] * 3


def test_a_tokenizer_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    name = clip_folder(tmp_path, hf_tokenizer_name="nobody/nothing")
    with pytest.raises(ConfigurationError, match=r"model\.backbone: the tokenizer of local-dir:.* transformers"):
        title_tokenizer(name)


def test_pickled_checkpoint_files(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = open_clip.create_model("cma-small", load_weights=False, pretrained_text=False).state_dict()
    weights["logit_scale"] = torch.tensor(1.25)
    torch.save(weights, tmp_path / "clip.pt")
    assert build_backbone("cma-small", pretrained=str(tmp_path / "clip.pt")).logit_scale == 1.25
    torch.save({"logit_scale": torch.tensor(1.25)}, tmp_path / "clip.pt")
    for content in (None, b"", b"\x80\x04garbage"):
        if content is not None:
            (tmp_path / "clip.pt").write_bytes(content)
        with pytest.raises(ConfigurationError, match="could not be loaded"):
            build_backbone("cma-small", pretrained=str(tmp_path / "clip.pt"))
