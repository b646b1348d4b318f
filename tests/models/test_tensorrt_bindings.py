"""Every call of TensorRT against NVIDIA's own bindings: mypy holds the code to the stub, and this the stub to them."""

import ast
import importlib.util
import shutil
import subprocess
import sys

import pytest
import tensorrt_stub

ENGINE = tensorrt_stub.ROOT / "models" / "engines" / "tensorrt"

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
    assert python(environment, tensorrt_stub.__file__, "print") == tensorrt_stub.STUB.read_text(encoding="utf-8")


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
