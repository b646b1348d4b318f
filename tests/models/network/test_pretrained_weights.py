"""Weights of towers load whole or not at all; what cannot be had is named."""

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import save_file

from models.network.towers import _normalisation, build_backbone, title_tokenizer
from models.training.presets import PRESETS, preset
from schemas.errors import ConfigurationError
from tests.models.network.tower_folders import TOKENS, clip_of, noise
from tests.models.tiny import TAXONOMY, clip_folder


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
