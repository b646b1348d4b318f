"""Every call of TensorRT against NVIDIA's own bindings: mypy holds the code to the stub, and this the stub to them."""

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.engines.nvidia.tensorrt import tensorrt_stub

ENGINE = tensorrt_stub.ROOT / "models" / "engines" / "nvidia" / "tensorrt"

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("tensorrt_bindings") is None, reason="there are no bindings of TensorRT here"
    ),
    pytest.mark.skipif(shutil.which("cc") is None, reason="the bindings load with libraries that a C compiler makes"),
]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return tensorrt_stub.stub_libraries(tmp_path_factory.mktemp("tensorrt"))


def python(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stub_is_what_the_bindings_are(environment: dict[str, str]) -> None:
    assert python(environment, tensorrt_stub.__file__, "print", "tensorrt_bindings") == tensorrt_stub.STUB.read_text(
        encoding="utf-8"
    )


def test_every_name_that_the_engine_uses_is_in_the_stub() -> None:
    """mypy says so, too, where it is run."""
    found = {
        (node.value.attr, node.attr) if isinstance(node.value, ast.Attribute) else (node.attr, None)
        for path in ENGINE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("trt.")
    }
    assert len(found) > 10
    for name, member in found - {("__version__", None)}:
        assert name == "__version__" or member in (None, *tensorrt_stub.MEMBERS[name])


LOADED = """
import importlib, sys
import numpy as np

package, = sys.argv[1:]
sys.modules[package] = importlib.import_module(package + "_bindings")
sys.modules["tensorrt" if package == "tensorrt_lean" else "tensorrt_lean"] = None

import torch
from models.engines.interface import EngineIdentity
from models.engines.nvidia.tensorrt import engine
from models.engines.nvidia.tensorrt import engine as execution
from models.engines.nvidia.tensorrt import library
from models.engines.nvidia.tensorrt import presence

trt = library.trt
assert presence.installed() == package and "CUDA" in (presence.missing() or "CUDA")
assert library.version() == trt.__version__ and library.log() is library.log()
assert execution.TYPES[trt.DataType.INT64] == torch.int64 and execution.TYPES[trt.DataType.FLOAT] == torch.float32
assert trt.TensorIOMode.INPUT == trt.TensorIOMode.INPUT != trt.TensorIOMode.OUTPUT
assert tuple(trt.Dims((1, -1, 3))) == (1, -1, 3)
first, *rest = trt.Dims((-1, 32, 32, 3))
assert (first, rest) == (-1, [32, 32, 3])
if package == "tensorrt":
    from models.engines.nvidia.tensorrt import build as builder
    assert library.builds()
    described = trt.PluginTensorDesc()
    described.dims = (1, 2, 3)  # a tuple stands for a Dims
    assert tuple(described.dims) == (1, 2, 3)
else:
    assert not library.builds()
"""


@pytest.mark.parametrize("package", ["tensorrt", "tensorrt_lean"])
def test_the_engine_loads_with_the_bindings(environment: dict[str, str], package: str) -> None:
    python(environment, "-c", LOADED, package)


def test_the_lean_runtime_takes_the_same_calls(environment: dict[str, str]) -> None:
    run = ["Logger", "Dims", "Runtime", "ICudaEngine", "IExecutionContext", "DataType", "TensorIOMode"]
    shown = python(environment, tensorrt_stub.__file__, "print", "tensorrt_lean_bindings", *run)
    stub = tensorrt_stub.STUB.read_text(encoding="utf-8")
    assert shown.count("class ") == len(run)
    assert all(f"class {part}" in stub for part in shown.split("\nclass ")[1:])


SCRIPTED = """
import importlib, sys
from pathlib import Path

sys.modules["tensorrt"] = importlib.import_module("tensorrt_bindings")

from tests.models.engines.nvidia.tensorrt import tensorrt_scripted

tensorrt_scripted.main(Path(sys.argv[1]))
"""


@pytest.mark.skipif(shutil.which("c++") is None, reason="the scripted library is written in C++")
def test_plans_are_built_and_run_through_the_bindings(tmp_path: Path) -> None:
    """Each call of ours reaches TensorRT's side with arguments that the bindings take, and takes what they return."""
    source = Path(tensorrt_stub.__file__).with_name("tensorrt_native.cpp")
    assert python(tensorrt_stub.stub_libraries(tmp_path, source), "-c", SCRIPTED, str(tmp_path)) == "done\n"
