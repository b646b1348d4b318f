"""Yardsticks for engines: a naive program, the work that a listing needs, and the speed of the machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64, UInt8
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from models.engines.features import in_batches
from models.engines.interface import EngineIdentity, Features
from models.engines.machine import has_bf16
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.inputs.preprocessing import trim
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.weights import save_weights
from models.network.attention import SequenceWiseAttention
from models.network.cma_clip import CmaClip
from models.rules.certificates import Calibration, Certificate, Certificates, Promise
from models.rules.noise.kinds import KINDS
from models.rules.noise.rules import NoiseRules
from models.training.presets import Preset
from schemas.taxonomy import Taxonomy

_SIDES = {"cpu": 2048, "cuda": 8192}  # rows and columns of the matrices
_SECONDS = 0.5  # shortest measurement


class NaiveEngine:
    """A straightforward open_clip program: float32, every title padded to the context length, every row of every layer
    computed. Its features are the reference's."""

    batch = 64
    streams = 1

    def __init__(self, network: CmaClip) -> None:
        network.sequence_attention = AllRows(network.sequence_attention)
        self._length = network.backbone.context_length
        self._engine = TorchEngine(network)

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "B H W 3"],
        tokens: Int64[np.ndarray, "B T"],
        present: Bool[np.ndarray, "B 2"],
    ) -> Features:
        padded = np.pad(tokens, ((0, 0), (0, self._length - tokens.shape[1])))
        return self._engine(pictures, padded, present)


class AllRows(nn.Module):
    """Sequence-wise attention whose last layer computes all rows, of which two are needed."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self,
        image: Float[Tensor, "B I D"],
        title: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B I+T"],
        title_end: Int[Tensor, " B"],
        agreement: Float[Tensor, "B D"] | None = None,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        if not isinstance(self.attention, SequenceWiseAttention):
            return self.attention(image, title, valid, title_end)
        sequence = torch.cat([image, title], dim=1)
        ends = torch.arange(len(sequence), device=sequence.device), title_end + image.shape[1]
        *earlier, last = self.attention.layers
        for layer in earlier:
            sequence = layer(sequence, sequence, valid)
        rows = sequence.clone()
        if self.attention.agreement is not None:
            told = self.attention.agreement(agreement).unflatten(1, (2, -1))
            rows[:, 0] += told[:, 0]
            rows[ends] += told[:, 1]
        out = self.attention.norm(last(rows, sequence, valid))
        return out[:, 0], out[ends]


def work_of(network: CmaClip, examples: Examples, *, batch: int) -> float:
    """The floating-point operations that a listing needs (a multiply-add is two): titles trimmed to the longest of each
    batch, two rows in the last layer, a picture for each listing."""
    # The counter does not see operations that PyTorch has fused.
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), _unfused():
        for rows in in_batches(examples, batch):
            chunk = examples.take(rows)
            arrays = (chunk.pictures, trim(chunk.tokens), chunk.present)
            network.encode(*(torch.from_numpy(array) for array in arrays))
    return counter.get_total_flops() / len(examples)


@contextmanager
def _unfused() -> Iterator[None]:
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class MatrixProduct:
    """Measures the speed of processor or card: large matrix products in the fastest type that engines use."""

    def __init__(self, device: str) -> None:
        kind = torch.float16 if device == "cuda" else torch.float32
        if has_bf16(torch.device(device)):
            kind = torch.bfloat16
        self._side = _SIDES[device]
        random = torch.Generator().manual_seed(0)
        self._matrices = torch.randn(2, self._side, self._side, generator=random).to(device, kind)

    def rate(self) -> float:
        """Floating-point operations a second, measured now."""
        one, other = self._matrices
        began, products = time.perf_counter(), 0
        while (seconds := time.perf_counter() - began) < _SECONDS:
            torch.mm(one, other)
            if one.is_cuda:
                torch.cuda.synchronize()
            products += 1
        return 2 * self._side**3 * products / seconds


def untrained_model(folder: Path, preset: Preset, taxonomy: Taxonomy) -> ModelCard:
    """Writes a model with random weights and no certificates, which is as fast as a trained one. Returns its card."""
    network = preset.build(taxonomy, load_pretrained=False)
    folder.mkdir(parents=True, exist_ok=True)
    values = {attribute.name: len(attribute.values) for attribute in taxonomy.attributes}
    nothing = Certificate(0, None, 0, 0, None, None)
    pooled = {name: Calibration(1.0, None, None, nothing, {}, [None] * count, [], 0) for name, count in values.items()}
    card = ModelCard(
        version="untrained",
        created_at="",
        preset=preset,
        taxonomy=taxonomy,
        image_size=network.backbone.image_size,
        context_length=network.backbone.context_length,
        trims_titles=network.backbone.trims_titles,
        weights=save_weights(network, folder),
        target_precision=Promise().target_precision,
        confidence=Promise().confidence,
        certificates=Certificates(Promise(), pooled, {}),
        noise=NoiseRules(
            image_temperatures=[1.0] * len(values),
            title_temperatures=[1.0] * len(values),
            priors=[[1 / count] * count for count in taxonomy.class_counts],
            mismatch=[0.0] * (3 + 2 * len(values)),
            thresholds=dict.fromkeys(KINDS, 2.0),  # above every score
            quality={},
        ),
        feeds=[],
        listings={},
        history={},
        metrics={},
    )
    write_card(card, folder)
    return card
