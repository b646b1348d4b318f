"""What of the TensorRT engine needs neither TensorRT nor a card."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator

from models.engines.interface import EngineIdentity, Features
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.plan import Plan, here
from models.engines.nvidia.tensorrt.presence import TensorRtSettings, missing
from models.engines.onnx.export import export_onnx
from models.engines.onnx.half_precision import lowered
from models.engines.table import candidates
from models.lifecycle.model import Model
from models.training.presets import Preset
from schemas.errors import ConfigurationError, UserError
from tests.models.engines.compiled_models import batch, close, in_float32
from tests.models.engines.nvidia.kinds_of_towers import towers
from tests.models.tiny import model_folder, tiny_network, tiny_preset

SHAPES = Shapes((16, 32, 77), 64)
IDENTITY = EngineIdentity("tensorrt", "11.4.0.106", "NVIDIA H200 (compute capability 9.0)", "bf16", str(SHAPES))
INSTALLED = importlib.util.find_spec("tensorrt") is not None
LINES = (Path(__file__).parent / "tensorrt_operators.txt").read_text().splitlines()
TYPES = {name: types.split() for name, _, types in (line.partition(": ") for line in LINES) if types and name[0] != "#"}


def test_titles_are_padded_to_the_next_length_and_listings_to_a_power_of_two() -> None:
    assert [SHAPES.profile(length) for length in (1, 16, 17, 32, 33, 77)] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError, match="78 tokens"):
        SHAPES.profile(78)
    assert [SHAPES.rows(listings) for listings in (1, 2, 3, 33, 64)] == [1, 2, 4, 64, 64]
    assert Shapes((16,), 48).rows(40) == 48
    assert list(SHAPES.pieces(130)) == [slice(0, 64), slice(64, 128), slice(128, 130)]
    assert not list(SHAPES.pieces(0))


def test_lengths_stop_at_the_models_context() -> None:
    assert Shapes.of(77, trims_titles=True).lengths == (16, 32, 77)
    assert Shapes.of(32, trims_titles=True).lengths == (16, 32)
    assert Shapes.of(64, trims_titles=False).lengths == (64,)  # reads its padding: all titles are that long
    assert Shapes.of(77, trims_titles=True, lengths=(48, 24, 24)).lengths == (24, 48, 77)
    assert str(SHAPES) == "64 listings, titles of 16, 32, 77 tokens"


def test_a_plan_comes_back_as_it_was_built(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "tensorrt", IDENTITY, "weights")
    assert not plan.is_built()
    plan.write(b"a plan", SHAPES)
    assert plan.is_built() and plan.read() == (b"a plan", SHAPES)
    assert sorted(path.suffix for path in plan.folder.iterdir()) == [".json", ".plan"]


@pytest.mark.parametrize(
    "other",
    [
        *({"version": "11.4.0.107"}, {"device": "NVIDIA H200 (compute capability 10.0)"}, {"device": "NVIDIA L4"}),
        *({"precision": "fp16"}, {"shapes": "128 listings"}),
    ],
)
def test_plans_of_other_identities_and_weights_are_others(tmp_path: Path, other: dict[str, str]) -> None:
    plan = Plan(tmp_path, IDENTITY, "weights")
    plan.write(b"a plan", SHAPES)
    assert not replace(plan, identity=replace(IDENTITY, **other)).is_built()
    assert not replace(plan, weights="others").is_built()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda plan: plan.path.unlink(), r"\.plan is missing: build it with `cma compile`"),
        (lambda plan: plan.discard(), r"\.json is missing"),
        (
            lambda plan: plan.path.write_bytes(b"a pla"),
            r"\.plan is not the plan that `cma compile` built: .* `cma compile`",
        ),
        (lambda plan: plan.path.with_suffix(".json").write_text("{"), r"\.json is damaged"),
        (lambda plan: plan.path.with_suffix(".json").write_text("[]"), r"\.json is damaged"),
    ],
)
def test_a_damaged_plan_is_named_and_built_again(tmp_path: Path, damage: Callable[[Plan], object], said: str) -> None:
    plan = Plan(tmp_path, IDENTITY, "weights")
    plan.write(b"a plan", SHAPES)
    damage(plan)
    with pytest.raises(UserError, match=said):
        plan.read()
    assert not plan.is_built()
    plan.write(b"a plan", SHAPES)
    assert plan.is_built()


def test_a_plan_is_foreign_on_another_card_or_version() -> None:
    device = IDENTITY.device
    assert here(IDENTITY, version="11.4.0.106", device=device) == IDENTITY
    assert here(IDENTITY, version="11.5.0.1", device=device) != IDENTITY
    assert here(IDENTITY, version="11.4.0.106", device="NVIDIA L4 (compute capability 8.9)") != IDENTITY
    compatible = replace(IDENTITY, version="11.4.0.106+")
    assert here(compatible, version="11.10.0.2", device=device) == compatible
    assert here(compatible, version="11.3.9.9", device=device) != compatible
    assert here(compatible, version="11.10.0.2", device="NVIDIA L4") != compatible


def test_only_a_version_compatible_plan_may_bring_code(tmp_path: Path) -> None:
    plan = Plan(tmp_path, IDENTITY, "weights")
    assert not plan.holds_host_code
    assert replace(plan, identity=replace(IDENTITY, version="11.4.0.106+")).holds_host_code


@pytest.mark.skipif(INSTALLED, reason="TensorRT is installed")
def test_without_tensorrt_its_engine_is_refused_with_the_way_out(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    with pytest.raises(ConfigurationError, match=r"tag\.engine: TensorRT is not installed: .*uv sync --extra tensorrt"):
        Model(tmp_path, card).open_engine("tensorrt", threads=1)
    assert candidates("auto") == ("openvino", "torch")


@pytest.mark.skipif(INSTALLED or torch.cuda.is_available(), reason="TensorRT is installed, or there is a card")
@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_lean"])
def test_without_a_card_tensorrt_is_not_even_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("raise AssertionError('loaded')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "no CUDA device" in (missing() or "")
    with pytest.raises(ConfigurationError, match=r"no CUDA device.*set tag\.engine to auto, openvino or torch"):
        candidates("tensorrt")
    assert candidates("auto") == ("openvino", "torch")


def test_the_project_file_chooses_what_a_plan_is() -> None:
    from flows.project.settings import TagSettings

    assert TagSettings().tensorrt == TensorRtSettings()
    chosen = TagSettings(tensorrt={"precision": "fp16", "lengths": [8], "batch": 4, "version_compatible": True})
    assert chosen.tensorrt == TensorRtSettings("fp16", (8,), 4, True)
    with pytest.raises(ValueError, match=r"tensorrt\.lengths\.0\s.*greater than or equal to 2"):
        TagSettings(tensorrt={"lengths": [1]})


@pytest.fixture(scope="module")
def encoder(backbone_name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("encoder") / "encoder.onnx"
    export_onnx(tiny_network(tiny_preset(backbone_name)), path)
    return path


@pytest.mark.parametrize(
    "like",
    ["CLIP", "small", *(pytest.param(like, marks=pytest.mark.slow) for like in ("OpenAI", "SigLIP", "ConvNeXt"))],
)
def test_tensorrts_parser_supports_every_operator_on_its_types(encoder: Path, tmp_path: Path, like: str) -> None:
    if like != "CLIP":
        encoder = tmp_path / "encoder.onnx"
        export_onnx(tiny_network(tiny_preset(towers(tmp_path)[like])), encoder)
    exported = onnx.load(encoder)
    assert not exported.functions and {(one.domain, one.version) for one in exported.opset_import} == {("", 20)}
    for model in (exported, lowered(exported, "bf16"), lowered(exported, "fp16")):
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
        values = [*graph.input, *graph.output, *graph.value_info]
        types = {value.name: value.type.tensor_type.elem_type for value in values}
        types |= {weight.name: weight.data_type for weight in graph.initializer}
        assert {node.op_type for node in graph.node} <= TYPES.keys()
        for node in graph.node:
            given = {onnx.TensorProto.DataType.Name(types[name]) for name in node.input if name}
            assert given <= set(TYPES[node.op_type]), (node.op_type, node.name)


@pytest.mark.parametrize(("half", "tolerance"), [("bf16", 0.05), ("fp16", 0.005)])
def test_half_precision_is_close_to_the_reference(encoder: Path, half: str, tolerance: float) -> None:
    model = lowered(onnx.load(encoder), half)
    elements = {"bf16": onnx.TensorProto.BFLOAT16, "fp16": onnx.TensorProto.FLOAT16}
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    made = {name: node for node in model.graph.node for name in node.output}
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm")]
    assert products
    for name in {name for node in products for name in node.input if name}:
        cast = next((value.i for value in made[name].attribute if value.name == "to"), None) if name in made else None
        assert elements[half] in (kinds.get(name), cast)  # strongly typed: products of float32 stay float32
    given = batch(5, 9)
    arrays = {"pictures": given.pictures, "tokens": given.tokens, "present": given.present}
    found = Features(*ReferenceEvaluator(model).run(None, arrays))
    assert all(part.dtype == np.float32 for part in found)
    expected = in_float32(encoder, given)
    close(found, expected, tolerance)
    assert not np.array_equal(found.image_out, expected.image_out)
