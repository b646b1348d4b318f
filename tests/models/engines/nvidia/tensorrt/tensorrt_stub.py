"""Writes `typings/tensorrt.pyi`, what mypy knows of TensorRT, from NVIDIA's own bindings. Run it after an upgrade:

.tools/bin/uv run python tests/models/engines/nvidia/tensorrt/tensorrt_stub.py
"""

import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

ROOT = Path(__file__).parents[5]
STUB = ROOT / "typings" / "tensorrt.pyi"

# All that models/engines/tensorrt uses. mypy refuses whatever is not here.
MEMBERS = {
    "Dims": [],
    "IHostMemory": ["nbytes"],
    "ILogger": [],
    "Logger": ["__init__", "WARNING"],
    "ITensor": ["name", "shape"],
    "IOptimizationProfile": ["set_shape"],
    "ITimingCache": ["serialize"],
    "BuilderFlag": ["TF32", "VERSION_COMPATIBLE"],
    "IBuilderConfig": [
        *("add_optimization_profile", "clear_flag", "create_timing_cache"),
        *("set_flag", "set_timing_cache"),
    ],
    "INetworkDefinition": ["get_input", "num_inputs"],
    "ParserError": ["desc"],
    "OnnxParser": ["__init__", "get_error", "num_errors", "parse"],
    "Builder": [
        *("__init__", "build_serialized_network", "create_builder_config", "create_network"),
        "create_optimization_profile",
    ],
    "DataType": ["BOOL", "FLOAT", "INT64", "UINT8"],
    "TensorIOMode": ["INPUT"],
    "ExecutionContextAllocationStrategy": ["USER_MANAGED"],
    "IExecutionContext": [
        *("execute_async_v3", "get_tensor_shape", "set_device_memory", "set_input_shape"),
        *("set_optimization_profile_async", "set_tensor_address"),
    ],
    "ICudaEngine": [
        *("create_execution_context", "device_memory_size_v2", "get_tensor_dtype", "get_tensor_mode"),
        *("get_tensor_name", "get_tensor_profile_shape", "num_io_tensors"),
    ],
    "Runtime": ["__init__", "deserialize_cuda_engine", "engine_host_code_allowed"],
}
# What pybind11 does not say: `None` where something failed, what may be given in place of a `Dims`, and attributes.
FAILS = {"build_serialized_network", "create_execution_context", "create_timing_cache", "deserialize_cuda_engine"}
BASES = {"Dims": "Iterable[int]", "IHostMemory": "Buffer", "Logger": "ILogger"}
FUNCTIONS = [  # `nm -D --undefined-only` of the bindings
    *("createInferBuilder_INTERNAL", "createInferRefitter_INTERNAL", "createInferRuntime_INTERNAL"),
    *("createNvOnnxParserRefitter_INTERNAL", "createNvOnnxParser_INTERNAL", "getBuilderPluginRegistry"),
    *("getNvOnnxParserVersion", "getPluginRegistry", "initLibNvInferPlugins"),
]
ATTRIBUTES = {"name": "str", "shape": "Dims", "engine_host_code_allowed": "bool"}  # the others count something


def stub_libraries(folder: Path, source: Path | None = None) -> dict[str, str]:
    """An environment in which the bindings load, though TensorRT is not there: libraries that have the functions they
    look for, which do nothing, or what `source` says. Needs a compiler."""
    nothing, functions = folder / "nothing.c", source or folder / "functions.c"
    nothing.write_text("int nothing;\n")
    if source is None:
        functions.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in FUNCTIONS))
    for name in ("nvinfer", "nvinfer_lean", "nvonnxparser", "nvinfer_plugin"):
        given = functions if name in ("nvinfer", "nvinfer_lean") else nothing
        compiler = "c++" if given.suffix == ".cpp" else "cc"
        library = folder / f"lib{name}.so.11"
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, given], check=True)
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(ROOT)}


def written(trt: ModuleType) -> str:
    heading = [
        f'"""Generated from tensorrt_bindings {trt.__version__} by tensorrt_stub.py."""',
        "",
        "from collections.abc import Iterable",
        "from typing import ClassVar, Self, overload",
        "",
        "from typing_extensions import Buffer",
        "",
        "__version__: str",
        "",
    ]
    return "\n".join(heading) + "\n" + "\n".join(written_class(trt, name) for name in MEMBERS)


def written_class(trt: ModuleType, name: str) -> str:
    base = f"({BASES[name]})" if name in BASES else ""
    lines = [f"class {name}{base}:" + ("" if MEMBERS[name] else " ...")]
    for member in MEMBERS[name]:
        lines += [f"    {line}" for line in _member(getattr(trt, name), member)]
    return "\n".join(lines) + "\n"


def _member(kind: type, name: str) -> list[str]:
    found = inspect.getattr_static(kind, name)
    if isinstance(found, property):
        return [f"{name}: {ATTRIBUTES.get(name, 'int')}"]
    if not callable(found):  # of an enumeration
        return [f"{name}: ClassVar[{'Self' if kind.__name__ != 'Logger' else 'int'}]"]
    signatures = re.findall(rf"^(?:\d+\. )?{name}(\(self: .*\) -> .*)$", found.__doc__ or "", re.MULTILINE)
    assert signatures, f"{kind.__name__}.{name} has no signature: {found.__doc__}"
    made = [f"def {name}{_python(signature, may_fail=name in FAILS)}: ..." for signature in signatures]
    used = [one for one in made if set(re.findall(r"\bI[A-Z]\w+", one)) <= MEMBERS.keys()]
    return used if len(used) == 1 else [line for one in used for line in ("@overload", one)]


def _python(signature: str, *, may_fail: bool) -> str:
    """A signature as pybind11 prints it, in Python's own words."""
    for pattern, words in (
        (r"\(self: [\w.]+", "(self"),
        (r"tensorrt_(?:lean_)?bindings\.tensorrt(?:_lean)?\.", ""),
        (r"nvonnxparser::IParserError", "ParserError"),
        (r"typing\.SupportsInt", "int"),
        (r"typing_extensions\.Buffer", "Buffer"),
        (r"\b(\w+): (\w+) = (?:None)", r"\1: \2 | None = ..."),
        (r" = (?:<[^>]*>|\d+)", " = ..."),
        (r"ILogger\.Severity", "int"),
        (r": tuple(?=[,)])", ": tuple[int, ...]"),
        (r": list(?=[,)])", ": list[int]"),
        (r": Dims(?=[,)])", ": Dims | tuple[int, ...]"),
    ):
        signature = re.sub(pattern, words, signature)
    return signature + (" | None" if may_fail else "")


def main(arguments: list[str]) -> None:
    """Without arguments, writes the stub; `print PACKAGE [CLASS…]` prints it, or these classes as PACKAGE has them."""
    if arguments:
        trt = import_module(arguments[1])
        print("\n".join(written_class(trt, name) for name in arguments[2:]) or written(trt), end="")
        return
    with TemporaryDirectory() as folder:
        environment = stub_libraries(Path(folder))
        command = [sys.executable, __file__, "print", "tensorrt_bindings"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    STUB.parent.mkdir(exist_ok=True)
    STUB.write_text(done.stdout, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
