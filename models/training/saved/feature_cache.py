"""Cache of what a picture tower's frozen trunk gives, so that stages, variants and later runs compute it once."""

from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn

from models import network
from models.engines.openvino_engine import OpenVinoModule
from models.network.cma_clip import CmaClip
from models.network.picture_tower import PictureTower
from models.network.picture_weights import tensors_digest
from models.network.towers import ClipBackbone
from models.training.saved.feature_rows import KEY_BYTES, FeatureRows

_CHUNK = 256  # pictures that are written at once
_FEW = 32  # pictures that PyTorch has computed by the time that OpenVINO is compiled


class FeatureCache:
    """Stands in for the trunk of a picture tower: features by the hash of a picture, in `folder`, up to `most_bytes`.

    Mirrored pictures are pictures of their own. Rows are float16, and a picture's numbers are the same when it is
    computed as when it is read. Pictures for which there is no room are computed each time.
    """

    def __init__(self, backbone: ClipBackbone, *, folder: Path, most_bytes: int) -> None:
        self._backbone, self._folder, self._most = backbone, folder, most_bytes
        self._compiled: OpenVinoModule | None = None
        self._key = ""
        self.open()

    def open(self) -> bool:
        """Opens the rows of the trunk's present weights. Returns whether these have changed since the last time."""
        tower = self._backbone.visual
        weights = tensors_digest(tower.trunk.state_dict().values())
        self._shape = (tower.grid[0] * tower.grid[1], len(tower.mean))
        code = [file.read_bytes() for file in sorted(Path(network.__file__).parent.glob("*.py"))]
        facts = repr((weights, type(tower.trunk).__name__, tower.image_size, tower.grid, self._shape, code))
        key = blake2b(facts.encode(), digest_size=KEY_BYTES).hexdigest()
        if changed := key != self._key:
            self._rows = FeatureRows(self._folder / key, shape=self._shape, most_bytes=self._most)
            self._key, self._compiled = key, None
        return changed

    def __call__(self, pictures: Num[Tensor, "B H W 3"]) -> Float[Tensor, "B P F"]:
        """The features of pictures, on their device. Mixed pictures, which are floats, are computed."""
        if pictures.dtype != torch.uint8:
            return self._backbone.computed_features(pictures)
        array = pictures.cpu().numpy()
        keys = self._add(array)
        here = [key in self._rows for key in keys]
        if all(here):
            found = self._rows[keys]
        else:
            found = np.empty((len(keys), *self._shape), dtype=np.float16)
            found[here] = self._rows[[key for key in keys if key in self._rows]]
            found[~np.array(here)] = self._computed(array[~np.array(here)])
        return torch.from_numpy(found).to(pictures.device).float()

    def fill(self, *sets: UInt8[np.ndarray, "_ H W 3"], progress: Callable[[int, int], None] | None = None) -> None:
        """Computes the features of the pictures that have none, as far as there is room. `progress` is called with the
        number of chunks that are done, and of all."""
        chunks = [(pictures, start) for pictures in sets for start in range(0, len(pictures), _CHUNK)]
        for done, (pictures, start) in enumerate(chunks, start=1):
            self._add(np.ascontiguousarray(pictures[start : start + _CHUNK]))
            if progress:
                progress(done, len(chunks))

    def _add(self, pictures: UInt8[np.ndarray, "B H W 3"]) -> list[bytes]:
        keys = [blake2b(picture.data, digest_size=KEY_BYTES).digest() for picture in np.ascontiguousarray(pictures)]
        if not all(key in self._rows for key in keys):
            self._rows.add(keys, lambda places: self._computed(pictures[places]))
        return keys

    @torch.inference_mode()
    def _computed(self, pictures: UInt8[np.ndarray, "B H W 3"]) -> Float[np.ndarray, "B P F"]:
        """The trunk's features, on its device; on a processor by OpenVINO, in a quarter of PyTorch's time."""
        trunk = _Trunk(self._backbone).eval()
        device = self._backbone.logit_scale.device
        if device.type == "cpu" and (self._compiled or len(pictures) > _FEW):
            self._compiled = self._compiled or OpenVinoModule(
                trunk, torch.from_numpy(pictures[:1]), threads=torch.get_num_threads()
            )
            return self._compiled(pictures)
        parts = np.array_split(pictures, -(-len(pictures) // _FEW))
        return torch.cat([trunk(torch.from_numpy(part).to(device)) for part in parts]).float().cpu().numpy()


class _Trunk(nn.Module):
    def __init__(self, backbone: ClipBackbone) -> None:
        super().__init__()
        self.trunk, self.normalise = backbone.visual.trunk, backbone.normalise
        self._features = backbone.computed_features

    def forward(self, pictures: UInt8[Tensor, "B H W 3"]) -> Float[Tensor, "B P F"]:
        return self._features(pictures)


def attach_feature_cache(network: CmaClip, *, folder: Path, most_bytes: int) -> FeatureCache | None:
    """Makes the network read the features of its picture tower's trunk from a cache, which it returns. None where the
    network has no such tower, or there may be no bytes."""
    if not isinstance(network.backbone.visual, PictureTower) or not most_bytes:
        return None
    network.backbone.feature_cache = cache = FeatureCache(network.backbone, folder=folder, most_bytes=most_bytes)
    return cache
