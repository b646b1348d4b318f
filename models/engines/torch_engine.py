"""The reference engine: the network in PyTorch and float32."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8

from models.engines.interface import EngineIdentity, Features, TrainedModel, reference_identity
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from models.network.cma_clip import CmaClip


class TorchEngine:
    """Runs the network in float32, on the device that it is on."""

    batch = 64
    streams = 1

    def __init__(self, network: CmaClip) -> None:
        self._network = network
        self._device = next(network.parameters()).device

    @classmethod
    def identity_here(cls, model: TrainedModel, built: EngineIdentity) -> EngineIdentity:
        return reference_identity()

    @classmethod
    def build(cls, model: TrainedModel, *, threads: int, tensorrt: TensorRtSettings) -> "TorchEngine":
        return cls(model.network)

    @classmethod
    def open(cls, model: TrainedModel, built: EngineIdentity, *, threads: int) -> "TorchEngine":
        return cls(model.network)

    @property
    def identity(self) -> EngineIdentity:
        name = torch.cuda.get_device_name(self._device) if self._device.type == "cuda" else "cpu"
        return EngineIdentity("torch", torch.__version__, name, "float32")

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features:
        self._network.eval()
        with torch.inference_mode():
            encoded = self._network.encode(
                *(torch.from_numpy(array).to(self._device) for array in (pictures, tokens, present))
            )
        return Features(*(part.float().cpu().numpy() for part in encoded))
