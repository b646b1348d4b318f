"""The engine that PyTorch runs on a card: on a simulated one everywhere, on a real one with `pytest -m gpu`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.engines.features import encode
from models.engines.nvidia.cuda_engine import CudaEngine, in_half
from models.engines.nvidia.driver import missing
from models.engines.nvidia.shapes import Shapes
from models.engines.table import candidates
from models.engines.torch_engine import TorchEngine
from models.inputs.examples import Examples
from models.lifecycle.compile import compile_engine
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.model import Model
from models.network.cma_clip import CmaClip
from models.training.presets import Preset
from schemas.errors import ConfigurationError, UserError
from tests.models.engines.compiled_models import PROMISE, Compiled, batch, close
from tests.models.engines.nvidia.kinds_of_towers import towers
from tests.models.engines.nvidia.simulated_card import NAME, simulate
from tests.models.tiny import CONTEXT, clip_folder, examples, model_folder, tiny_network, tiny_preset

TOLERANCE = 0.1  # of bf16
REAL = pytest.param("real", marks=[pytest.mark.gpu, pytest.mark.skipif(missing() is not None, reason=str(missing()))])


@pytest.fixture(params=["simulated", REAL])
def card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "simulated":
        simulate(monkeypatch)
    return str(request.param)


@pytest.fixture
def small_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches are cut, and take turns, at few listings."""
    of = Shapes.of
    monkeypatch.setattr(
        Shapes, "of", lambda context, *, trims_titles: of(context, trims_titles=trims_titles, lengths=(4, 8), batch=4)
    )


def arrays(given: Examples) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return given.pictures, given.tokens, given.present


@pytest.fixture
def network(preset: Preset) -> CmaClip:
    return tiny_network(preset)


@pytest.mark.usefixtures("card", "small_shapes")
def test_every_length_and_size_of_batch_is_as_the_reference(network: CmaClip) -> None:
    engine, reference = CudaEngine(network), TorchEngine(network)
    for _ in range(2):  # the second time every graph is replayed
        for listings in (1, 2, 3, 4, 5, 9):
            for length in (3, 5, CONTEXT):
                given = batch(listings, length)
                close(engine(*arrays(given)), reference(*arrays(given)), TOLERANCE)
    assert not np.array_equal(engine(*arrays(given)).image_out, reference(*arrays(given)).image_out)


@pytest.mark.usefixtures("card", "small_shapes")
def test_what_an_earlier_batch_left_behind_changes_nothing(network: CmaClip) -> None:
    """Rows and tokens beyond a batch are padding."""
    engine, fewer, more = CudaEngine(network), batch(3, 5), batch(4, 8)
    alone = CudaEngine(network)(*arrays(fewer))
    engine(*arrays(more))
    close(engine(*arrays(fewer)), alone, 1e-6)


@pytest.mark.usefixtures("card", "small_shapes")
def test_order_is_kept_while_batches_take_turns(network: CmaClip) -> None:
    engine, listings = CudaEngine(network), examples(30, length=CONTEXT)
    whole = encode(engine, listings)
    close(encode(engine, listings, batch=3), whole, 0.02)
    close(whole, encode(TorchEngine(network), listings), TOLERANCE)


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("like", ["reads its padding", "OpenAI", "SigLIP", "ConvNeXt", "small"])
def test_every_kind_of_tower_can_be_captured(tmp_path: Path, like: str) -> None:
    padded = clip_folder(tmp_path / "padded", no_causal_mask=True, pool_type="last")
    network = tiny_network(tiny_preset({"reads its padding": padded, **towers(tmp_path)}[like]))
    engine, reference = CudaEngine(network), TorchEngine(network)
    height, width = network.backbone.image_size
    for length in (5, 5, 12):  # the first captures, the second replays
        given = examples(3, size=(height, width), length=length)
        close(engine(*arrays(given)), reference(*arrays(given)), TOLERANCE)


def test_products_alone_are_halved_and_the_network_is_left_as_it_was(network: CmaClip) -> None:
    made = in_half(network, torch.bfloat16)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    layer = made.sequence_attention.layers[0]
    assert layer.query.weight.dtype == torch.bfloat16 and layer.attention_norm.weight.dtype == torch.float32
    for module in made.modules():
        if isinstance(module, nn.LayerNorm | nn.Embedding):
            assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
        if isinstance(module, nn.Linear | nn.MultiheadAttention):
            assert {parameter.dtype for parameter in module.parameters()} == {torch.bfloat16}


def test_a_card_without_bf16_computes_in_fp16(network: CmaClip, monkeypatch: pytest.MonkeyPatch) -> None:
    simulate(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: including_emulation)
    engine = CudaEngine(network)
    assert engine.identity.precision == "fp16"
    given = batch(3, 5)
    close(engine(*arrays(given)), TorchEngine(network)(*arrays(given)), 0.02)


@pytest.fixture
def compiled(card: str, preset: Preset, tmp_path: Path) -> Compiled:
    """By the name of the engine, as TensorRT may be there, too."""
    model = model_folder(tmp_path / "model", preset, threshold=0.75)
    splits = dict.fromkeys(("validation", "calibration", "test"), examples(40))
    engine = compile_engine(Model(tmp_path / "model", model), "cuda", **splits, promise=PROMISE, threads=1)
    return Compiled(tmp_path / "model", model, engine)


def test_it_passes_its_gate_and_is_chosen_before_the_processor(compiled: Compiled, card: str) -> None:
    assert compiled.built.gate.passed, compiled.built.gate
    identity = compiled.built.identity
    assert (identity.backend, identity.version) == ("cuda", torch.__version__)
    assert identity.shapes == "128 listings, titles of 16 tokens"
    assert (identity.device, identity.precision) == (NAME, "bf16") or card == "real"
    assert candidates("auto")[-3:] == ("cuda", "openvino", "torch")
    for name in ("auto", "cuda"):
        engine, found = compiled.model.open_engine(name, threads=1)
        assert isinstance(engine, CudaEngine) and engine.identity == identity
        assert found == compiled.built.certificates


@pytest.mark.parametrize(
    "other",
    [
        *({"device": "NVIDIA L4 (compute capability 8.9)"}, {"version": "2.0.0"}, {"precision": "fp16"}),
        {"shapes": "64 listings, titles of 16 tokens"},
    ],
)
def test_certificates_of_another_card_version_or_shape_are_not_used(compiled: Compiled, other: dict[str, str]) -> None:
    replace(compiled.built, identity=replace(compiled.built.identity, **other)).write(compiled.folder)
    with pytest.raises(UserError, match=r"was compiled and certified as cuda .*cma compile"):
        compiled.model.open_engine("cuda", threads=1)
    backend, why = compiled.model.choose_engine("auto")
    assert backend == "torch" and "the cuda engine was compiled and certified as cuda" in str(why)


@pytest.mark.skipif(missing() is None, reason="there is a card")
def test_without_a_card_it_is_refused_with_the_way_out(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    with pytest.raises(ConfigurationError, match=r"PyTorch finds no CUDA device.*set tag\.engine to auto, openvino or"):
        Model(tmp_path, card).open_engine("cuda", threads=1)
    assert candidates("auto") == ("openvino", "torch")
    assert EngineCard.read(tmp_path, "cuda") is None
