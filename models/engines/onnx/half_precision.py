"""Lowers the matrix products of an ONNX graph to half precision, with explicit casts for a strongly typed builder.
Norms, softmaxes, residuals, convolutions (ONNX has none in bf16 before opset 22) and outputs stay float32."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import ml_dtypes
import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from schemas.files import write_whole

PRODUCTS = ("MatMul", "Gemm")
Half = Literal["bf16", "fp16"]
_TYPES = {"bf16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16), "fp16": (TensorProto.FLOAT16, np.float16)}


def write_lowered(onnx_file: Path, half: Half) -> Path:
    """Writes `encoder.bf16.onnx` (or fp16) beside `encoder.onnx`, whole or not at all; returns its path."""
    path = onnx_file.with_suffix(f".{half}.onnx")
    write_whole(path, lowered(onnx.load(onnx_file), half).SerializeToString())
    return path


def lowered(model: onnx.ModelProto, half: Half) -> onnx.ModelProto:
    """A copy of a float32 model with products in `half`: their weights are stored in it, other inputs cast to it, and
    outputs cast back. A tensor that several products read is cast once."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    cast: dict[str, str] = {}
    nodes: list[NodeProto] = []
    for node in graph.node:
        if node.op_type in PRODUCTS:
            nodes += _product(node, graph, weights, cast, half)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    read = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    del graph.value_info[:]  # its types are those before the casts
    onnx.checker.check_model(made, full_check=True)
    return made


def _product(
    node: NodeProto, graph: GraphProto, weights: dict[str, TensorProto], cast: dict[str, str], half: Half
) -> Iterator[NodeProto]:
    kind, dtype = _TYPES[half]
    for index, name in enumerate(node.input):
        if not name:
            continue
        if name not in cast:
            cast[name] = f"{name}.{half}"
            if name in weights:
                array = numpy_helper.to_array(weights[name]).astype(dtype)
                graph.initializer.append(numpy_helper.from_array(array, cast[name]))
            else:
                yield helper.make_node("Cast", [name], [cast[name]], name=f"{cast[name]}.cast", to=kind)
        node.input[index] = cast[name]
    (output,) = node.output
    node.output[0] = f"{output}.product"
    yield node
    yield helper.make_node("Cast", [node.output[0]], [output], name=f"{output}.cast", to=TensorProto.FLOAT)
