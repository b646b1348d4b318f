from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import save_file
from tiny import CONTEXT, TAXONOMY, WIDTH, clip_folder, tiny_network, titles

from models.backbone import ClipBackbone, build_backbone
from models.checkpoint import build_network
from models.presets import PRESETS, Preset, preset
from schemas.errors import ConfigurationError

TOKENS = titles([5, 6, 7], [320], [], length=CONTEXT)


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
    pictures = torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    normal = ((pictures / 255 - mean) / std).permute(0, 3, 1, 2)
    expected = clip.encode_image(normal)
    image = ClipBackbone(clip).images(pictures)
    assert image.sequence.shape == (3, 1 + 4, WIDTH)
    torch.testing.assert_close(image.embedding, expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(image.sequence[:, 0], image.embedding)


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
def test_small_has_one_class_and_forty_patch_positions() -> None:
    network = build_network(PRESETS["small"], TAXONOMY, load_pretrained=True).eval()
    assert network.backbone.image_size == (128, 80)
    image = network.backbone.images(torch.zeros(2, 128, 80, 3, dtype=torch.uint8))
    assert image.sequence.shape == (2, 41, 128)
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
        build_network(preset("small", backbone=name), TAXONOMY, load_pretrained=True)


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
