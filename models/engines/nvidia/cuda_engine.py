"""The engine that runs PyTorch on an NVIDIA card: half precision, trimmed titles, a CUDA graph for each shape."""

from collections.abc import Mapping
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from models.engines.interface import EngineIdentity, TrainedModel
from models.engines.machine import card_name
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.slots import OnCard, Slot
from models.engines.nvidia.tensorrt.presence import TensorRtSettings
from models.network.cma_clip import CmaClip

_PRODUCTS = (nn.Linear, nn.Conv2d, nn.MultiheadAttention)

DEVICE = "cuda"
_NAMES = {torch.bfloat16: "bf16", torch.float16: "fp16"}


class CudaEngine(OnCard):
    """The network in PyTorch, in bf16 or fp16. It has no files: building and opening it are the same."""

    def __init__(self, network: CmaClip) -> None:
        backbone = network.backbone
        shapes = Shapes.of(backbone.context_length, trims_titles=backbone.trims_titles)
        super().__init__(identity(shapes), shapes)
        self._half = _half()
        self._network = in_half(network, self._half).to(DEVICE)
        self._memory = torch.cuda.graph_pool_handle()  # graphs run one after another, so they may share it

    @classmethod
    def identity_here(cls, model: TrainedModel, built: EngineIdentity) -> EngineIdentity:
        return identity(Shapes.of(model.card.context_length, trims_titles=model.card.trims_titles))

    @classmethod
    def build(cls, model: TrainedModel, *, threads: int, tensorrt: TensorRtSettings) -> "CudaEngine":
        return cls(model.network)

    @classmethod
    def open(cls, model: TrainedModel, built: EngineIdentity, *, threads: int) -> "CudaEngine":
        return cls(model.network)

    def _capture(self, profile: int, rows: int) -> Slot:
        zeros = partial(torch.zeros, device=DEVICE)
        inputs = {
            "pictures": zeros((rows, *self._network.backbone.image_size, 3), dtype=torch.uint8),
            "tokens": zeros((rows, self._shapes.lengths[profile]), dtype=torch.int64),
            "present": zeros((rows, 2), dtype=torch.bool),
        }
        return Slot(inputs, partial(self._encode, inputs), compute=self._compute, pool=self._memory)

    def _encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Cached casts of weights would live in the memory of the graph that is captured first.
        with torch.inference_mode(), torch.autocast(DEVICE, self._half, cache_enabled=False):
            encoded = self._network.encode(inputs["pictures"], inputs["tokens"], inputs["present"])
        return {name: part.float() for name, part in encoded._asdict().items()}


def identity(shapes: Shapes) -> EngineIdentity:
    """The identity of this engine on this machine's card."""
    return EngineIdentity("cuda", torch.__version__, card_name(), _NAMES[_half()], str(shapes))


def _half() -> torch.dtype:
    """bf16, or fp16 on cards before Ampere, which lack bf16."""
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def in_half(network: CmaClip, half: torch.dtype) -> CmaClip:
    """A copy for autocast to `half`, with the weights of products cast once instead of at every batch. Norms,
    softmaxes, residuals and embeddings stay float32."""
    made = deepcopy(network).eval().requires_grad_(False)
    for module in made.modules():
        if isinstance(module, _PRODUCTS):
            for parameter in module.parameters(recurse=False):
                parameter.data = parameter.data.to(half)
    return made
