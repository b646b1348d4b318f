"""The TensorRT engine itself. Runs where TensorRT and an NVIDIA card are: `uv run --extra tensorrt pytest -m gpu`."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.engines.features import encode
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt.plan import Plan
from models.engines.nvidia.tensorrt.presence import Precision, TensorRtSettings, installed, missing
from models.engines.onnx.export import export_onnx
from models.engines.onnx.half_precision import write_lowered
from models.engines.table import candidates
from models.engines.torch_engine import TorchEngine
from models.lifecycle.card import ModelCard
from models.lifecycle.compile import compile_engine
from models.lifecycle.engine_card import EngineCard
from models.lifecycle.model import Model
from schemas.errors import UserError
from tests.models.engines.compiled_models import PROMISE, batch, close
from tests.models.tiny import CONTEXT, clip_folder, examples, model_folder, tiny_network, tiny_preset

if TYPE_CHECKING:
    from models.engines.nvidia.tensorrt.engine import TensorRtEngine

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(missing() is not None or installed() != "tensorrt", reason=missing() or "no builder"),
    pytest.mark.timeout(1800),
]
SHAPES = Shapes((4, 8, CONTEXT), 8)
OPTIONS = TensorRtSettings(precision="float32", lengths=(4, 8), batch=8)
TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "tf32": 1e-2, "bf16": 0.1, "fp16": 0.02}


@dataclass(frozen=True)
class Built:
    folder: Path
    card: ModelCard
    engine: EngineCard

    @property
    def model(self) -> Model:
        return Model(self.folder, self.card)

    @property
    def plan(self) -> Plan:
        return Plan(self.folder / "engines" / "tensorrt", self.engine.identity, self.card.weights)


def make(folder: Path, card: ModelCard, options: TensorRtSettings = OPTIONS) -> EngineCard:
    splits = dict.fromkeys(("validation", "calibration", "test"), examples(40))
    return compile_engine(Model(folder, card), "tensorrt", **splits, promise=PROMISE, threads=1, tensorrt=options)


@pytest.fixture(scope="module")
def built(backbone_name: str, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("models") / "model"
    card = model_folder(folder, tiny_preset(backbone_name), threshold=0.75)
    return Built(folder, card, make(folder, card))


@pytest.fixture
def copied(built: Built, tmp_path: Path) -> Built:
    shutil.copytree(built.folder, tmp_path / "models" / "model")
    return replace(built, folder=tmp_path / "models" / "model")


def opened(built: Built, name: str = "tensorrt") -> "TensorRtEngine":
    return built.model.open_engine(name, threads=1)[0]


def built_alone(onnx: Path, folder: Path, **options: object) -> Plan:
    from models.engines.nvidia.tensorrt.build import build

    given = {"weights": "w", "precision": "float32", "version_compatible": False, "timing": folder / "timing"}
    return build(onnx, SHAPES, folder, **{**given, **options})


def test_it_is_the_automatic_choice_and_passes_its_gate(built: Built) -> None:
    assert candidates("auto")[0] == "tensorrt"
    assert built.engine.gate.passed, built.engine.gate
    identity = built.engine.identity
    assert identity.backend == "tensorrt" and identity.precision == "float32" and identity.shapes == str(SHAPES)
    assert "compute capability" in identity.device and int(identity.version.split(".")[0]) >= 11
    for name in ("auto", "tensorrt"):
        assert opened(built, name).identity == identity


def test_every_length_and_size_of_batch_is_as_the_reference(built: Built) -> None:
    engine, reference = opened(built), built.model.reference_engine()
    for _ in range(2):  # the second time every graph is replayed
        for listings in (1, 2, 3, 7, 8, 9, 16, 17, 40):
            for length in (3, 4, 5, 8, 9, CONTEXT):
                given = batch(listings, length)
                arrays = given.pictures, given.tokens, given.present
                close(engine(*arrays), reference(*arrays), TOLERANCES["float32"])


def test_what_an_earlier_batch_left_behind_changes_nothing(built: Built) -> None:
    """Rows and tokens beyond a batch are padding."""
    engine, small, large = opened(built), batch(5, 5), batch(8, 8)
    alone = opened(built)(small.pictures, small.tokens, small.present)
    engine(large.pictures, large.tokens, large.present)
    close(engine(small.pictures, small.tokens, small.present), alone, 1e-6)


def test_order_is_kept_while_batches_take_turns(built: Built) -> None:
    engine, listings = opened(built), examples(100, length=CONTEXT)
    whole = encode(engine, listings)
    close(encode(engine, listings, batch=3), whole, 1e-3)
    close(whole, encode(built.model.reference_engine(), listings), TOLERANCES["float32"])


def test_a_tower_that_reads_its_padding(tmp_path: Path) -> None:
    from models.engines.nvidia.tensorrt.engine import TensorRtEngine

    network = tiny_network(tiny_preset(clip_folder(tmp_path / "clip", no_causal_mask=True, pool_type="last")))
    export_onnx(network, tmp_path / "encoder.onnx")
    engine = TensorRtEngine(built_alone(tmp_path / "encoder.onnx", tmp_path / "plans"))
    for given in (batch(1, 3), batch(9, CONTEXT)):
        arrays = given.pictures, given.tokens, given.present
        close(engine(*arrays), TorchEngine(network)(*arrays), TOLERANCES["float32"])


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_lower_precisions_are_close(built: Built, tmp_path: Path, precision: Precision) -> None:
    from models.engines.nvidia.tensorrt.engine import TensorRtEngine

    onnx = built.folder / "engines" / "encoder.onnx"
    shutil.copy(onnx, tmp_path / "encoder.onnx")
    fed = tmp_path / "encoder.onnx" if precision == "tf32" else write_lowered(tmp_path / "encoder.onnx", precision)
    engine = TensorRtEngine(built_alone(fed, tmp_path / "plans", precision=precision))
    given = batch(8, 8)
    arrays = given.pictures, given.tokens, given.present
    close(engine(*arrays), built.model.reference_engine()(*arrays), TOLERANCES[precision])


def test_the_same_plan_is_not_built_twice(copied: Built) -> None:
    before = copied.plan.path.stat().st_mtime_ns
    make(copied.folder, copied.card)
    assert copied.plan.path.stat().st_mtime_ns == before
    other = make(copied.folder, copied.card, replace(OPTIONS, batch=4))
    assert other.identity != copied.engine.identity
    assert len(list(copied.plan.folder.glob("*.plan"))) == 2


def test_a_damaged_plan_is_refused_and_built_again(copied: Built) -> None:
    content = copied.plan.path.read_bytes()
    copied.plan.path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"is not the plan that `cma compile` built.*cma compile"):
        opened(copied)
    copied.plan.write(content[: len(content) // 2], SHAPES)  # as if it had been built like this
    with pytest.raises(UserError, match=r"TensorRT does not accept .*cma compile"):
        opened(copied)
    make(copied.folder, copied.card)
    assert opened(copied).identity == copied.engine.identity


@pytest.mark.parametrize("other", [{"device": "NVIDIA L4 (compute capability 8.9)"}, {"version": "11.0.0.1"}])
def test_a_foreign_plan_is_never_opened(copied: Built, other: dict[str, str]) -> None:
    replace(copied.engine, identity=replace(copied.engine.identity, **other)).write(copied.folder)
    with pytest.raises(UserError, match=r"was compiled and certified as tensorrt .*cma compile"):
        opened(copied)
    assert opened(copied, "auto").identity.backend == "torch"


def test_a_timing_cache_is_kept_and_a_damaged_one_replaced(built: Built, tmp_path: Path) -> None:
    onnx, timing = built.folder / "engines" / "encoder.onnx", tmp_path / "timing"
    assert (built.folder.parent / ".tensorrt-timing").stat().st_size > 0
    timing.write_bytes(b"damaged")
    built_alone(onnx, tmp_path / "one", timing=timing)
    known = timing.read_bytes()
    assert len(known) > 100
    built_alone(onnx, tmp_path / "two", timing=timing)
    assert len(timing.read_bytes()) >= len(known)


def test_a_version_compatible_plan_runs(copied: Built) -> None:
    made = make(copied.folder, copied.card, replace(OPTIONS, version_compatible=True))
    assert made.identity.version.endswith("+") and made.gate.passed
    given = batch(9, 8)
    arrays = given.pictures, given.tokens, given.present
    expected = copied.model.reference_engine()(*arrays)
    close(opened(copied)(*arrays), expected, TOLERANCES["float32"])


LEAN = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "tensorrt" else real(name, *rest)
from models.engines.interface import EngineIdentity
from models.engines.nvidia.tensorrt.engine import TensorRtEngine
from models.engines.nvidia.tensorrt.library import trt
from models.engines.nvidia.tensorrt.plan import Plan
assert trt.__name__ == "tensorrt_lean"
folder, identity, weights, arrays, out = sys.argv[1:]
given = np.load(arrays)
engine = TensorRtEngine(Plan(Path(folder), EngineIdentity(**json.loads(identity)), weights))
np.savez(out, **engine(given["pictures"], given["tokens"], given["present"])._asdict())
"""


def test_a_worker_needs_the_lean_runtime_only(copied: Built, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_lean", reason="the lean runtime: uv run --extra tensorrt --extra tensorrt-lean …")
    made = make(copied.folder, copied.card, replace(OPTIONS, version_compatible=True))
    given = batch(9, 8)
    np.savez(tmp_path / "in.npz", pictures=given.pictures, tokens=given.tokens, present=given.present)
    plan = replace(copied, engine=made).plan
    identity = json.dumps(asdict(made.identity))
    arguments = [str(plan.folder), identity, plan.weights, str(tmp_path / "in.npz"), str(tmp_path / "out.npz")]
    subprocess.run([sys.executable, "-c", LEAN, *arguments], check=True, timeout=600)
    found, expected = np.load(tmp_path / "out.npz"), opened(copied)(given.pictures, given.tokens, given.present)
    for name, part in expected._asdict().items():
        np.testing.assert_allclose(found[name], part, rtol=1e-3, atol=1e-3, err_msg=name)
