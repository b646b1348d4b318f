"""Runs the builder and the runtime through NVIDIA's own bindings, on the library that tensorrt_native.cpp is. In a
process of its own (`test_tensorrt_bindings.py` starts it), where `import tensorrt` gives the bindings."""

import ctypes
import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

from models.engines.interface import EngineIdentity, Features
from models.engines.nvidia.shapes import Shapes
from models.engines.nvidia.tensorrt import build as builder
from models.engines.nvidia.tensorrt import engine
from models.engines.nvidia.tensorrt.library import trt
from models.engines.nvidia.tensorrt.plan import Plan
from schemas.errors import UserError
from tests.models.engines.nvidia import simulated_card

NATIVE = ctypes.CDLL("libnvinfer.so.11")
INPUTS = {"pictures": (-1, 32, 32, 3), "tokens": (-1, -1), "present": (-1, 2)}
OBJECT, PLAIN, NULL = ("o", 1), ("p", 1), ("o", 0)  # PLAIN: of the parser's library
SHAPES = Shapes((4, 16), 8)


def script(*answers: object) -> None:
    """Objects, memory (bytes), numbers (truth values, too), shapes (tuples) and texts, in the order of the calls."""
    for answer in answers:
        kind, number, sizes, text = "n", 0, (), b""
        if answer in (OBJECT, PLAIN, NULL):
            kind, number = answer
        elif isinstance(answer, bytes):
            kind, number, text = "m", 1, answer
        elif isinstance(answer, tuple):
            kind, sizes = "d", answer
        elif isinstance(answer, str):
            kind, text = "t", answer.encode()
        else:
            number = int(answer)
        NATIVE.script(
            ctypes.c_char(kind.encode()),
            ctypes.c_int64(number),
            (ctypes.c_int64 * len(sizes))(*sizes),
            len(sizes),
            text,
        )


def unused() -> int:
    return int(NATIVE.unused())


def profile() -> list[object]:
    answers: list[object] = [OBJECT, len(INPUTS)]
    for name, shape in INPUTS.items():
        answers += [OBJECT, shape, name, True, True, True]
    return [*answers, 0]


def built(folder: Path, *answers: object) -> bytes:
    script(*answers)
    onnx = folder / "encoder.onnx"
    onnx.write_bytes(b"a graph")
    content = builder._serialized(onnx, SHAPES, "float32", version_compatible=True, timing=folder / "timing")
    assert unused() == 0
    return content


def builds(folder: Path) -> None:
    network, parsed, config, flag = OBJECT, True, OBJECT, 0
    start = [network, parsed, config, flag, flag, *profile(), *profile()]
    assert built(folder, *start, OBJECT, True, b"the plan", b"timings") == b"the plan"
    assert (folder / "timing").read_bytes() == b"timings"
    refused_first = [OBJECT, False, OBJECT, True]  # of another card: an empty one instead
    assert built(folder, *start, *refused_first, b"the plan", b"new timings") == b"the plan"
    assert (folder / "timing").read_bytes() == b"new timings"
    with pytest.raises(UserError, match=r"could not build .*encoder\.onnx in float32.*tag\.tensorrt\.precision"):
        built(folder, *start, OBJECT, True, NULL)
    assert unused() == 0


def refuses_a_graph(folder: Path) -> None:
    two_errors = [2, PLAIN, "no such operator", PLAIN, "Einsum"]
    with pytest.raises(UserError, match=r"cannot read .*encoder\.onnx: no such operator; Einsum\."):
        built(folder, OBJECT, False, *two_errors)


def refuses_a_plan(folder: Path) -> None:
    identity = EngineIdentity("tensorrt", "11.4.0.106", "a card", "bf16", str(SHAPES))
    plan = Plan(folder, identity, "weights")
    plan.write(b"not a plan", SHAPES)
    script(0, NULL)  # whether host code may run; no engine
    with pytest.raises(UserError, match=r"does not accept .*\.plan.*cma compile"):
        engine.TensorRtEngine(plan)
    assert unused() == 0


class Idle(simulated_card.Idle):
    """In place of a CUDA graph, too: nothing is ever computed."""

    cuda_stream = 7

    def replay(self) -> None: ...


def without_a_card() -> None:
    def on_the_processor(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda *shape, dtype, device="cpu", pin_memory=False: make(*shape, dtype=dtype)

    torch.zeros, torch.empty = on_the_processor(torch.zeros), on_the_processor(torch.empty)
    torch.cuda.Stream = torch.cuda.Event = torch.cuda.CUDAGraph = Idle
    torch.cuda.graph = torch.cuda.stream = lambda *_, **__: nullcontext()
    torch.cuda.synchronize = lambda: None


def runs(folder: Path) -> None:
    identity = EngineIdentity("tensorrt", "11.4.0.106+", "a card", "bf16", str(SHAPES))
    plan = Plan(folder, identity, "weights")
    plan.write(b"a plan", SHAPES)
    script(0, OBJECT, 1000)  # whether host code may run; the engine; its scratch memory
    running = engine.TensorRtEngine(plan)
    context, done, names = OBJECT, True, [*INPUTS, *Features._fields]
    script(context, 0, done, len(names), *names)
    types = {"pictures": trt.DataType.UINT8, "tokens": trt.DataType.INT64, "present": trt.DataType.BOOL}
    for name, shape in INPUTS.items():
        smallest, largest = (tuple(16 if size < 0 else size for size in (rows, *shape[1:])) for rows in (1, 8))
        script(int(trt.TensorIOMode.INPUT), smallest, largest, largest, done, int(types[name]), done)
    script(*[int(trt.TensorIOMode.OUTPUT)] * 4)
    for _ in Features._fields:
        script((4, 6), int(trt.DataType.FLOAT), done)
    script(done, done)  # once to prepare, once to be captured
    arrays = np.zeros((3, 32, 32, 3), np.uint8), np.full((3, 9), 5), np.ones((3, 2), bool)
    features = running(*arrays)  # three listings of nine tokens: four rows of the second profile
    assert unused() == 0
    assert [part.shape for part in features] == [(3, 6)] * 4
    (slot,) = running._slots.values()
    assert slot._inputs["tokens"][1].tolist() == [[5] * 9 + [0] * 7] * 3 + [[0] * 16]
    assert slot._inputs["present"][1].all()  # of padding, too
    running(*arrays)  # a captured graph is replayed without TensorRT
    script(context, 0, False)
    with pytest.raises(RuntimeError, match="profile"):
        running(*(array[:1] for array in arrays))
    script(NULL)
    with pytest.raises(RuntimeError, match="could not make an execution context"):
        running(*(array[:1] for array in arrays))
    assert unused() == 0


def main(folder: Path) -> None:
    without_a_card()
    runs(folder)
    builds(folder)
    refuses_a_plan(folder)
    refuses_a_graph(folder)
    print("done", flush=True)
    os._exit(0)  # nobody has scripted the end of what is still there
