"""Exports the network to ONNX, dynamic in batch and title length. Every compiled engine is built from the file."""

import warnings
from pathlib import Path

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from models.engines.onnx.fold_normalisation import folded_normalisation
from models.network.cma_clip import CmaClip, Encoded
from schemas.files import replacing

INPUTS = ("pictures", "tokens", "present")
OUTPUTS = Encoded._fields


class _Encoder(nn.Module):
    def __init__(self, network: CmaClip) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, pictures: UInt8[Tensor, "B H W 3"], tokens: Int[Tensor, "B T"], present: Bool[Tensor, "B 2"]
    ) -> tuple[Tensor, ...]:
        return tuple(self.network.encode(pictures, tokens, present))


def export_onnx(network: CmaClip, path: Path) -> None:
    """Writes the float32 encoder with inputs `INPUTS` and outputs `OUTPUTS` to `path`, whole or not at all."""
    network.eval()
    network.backbone.feature_cache = None  # the graph computes the features itself
    height, width = network.backbone.image_size
    tokens = torch.zeros(2, 8, dtype=torch.int64)
    tokens[:, :3] = torch.tensor([1, 2, 3])
    pictures, present = torch.zeros(2, height, width, 3, dtype=torch.uint8), torch.ones(2, 2, dtype=torch.bool)
    batch = torch.export.Dim("batch", min=1)
    length = torch.export.Dim("length", min=2, max=network.backbone.context_length)
    with replacing(path) as temporary, warnings.catch_warnings(), folded_normalisation(network.backbone):
        warnings.simplefilter("ignore")  # the exporter warns about its own internals
        program = torch.onnx.export(
            _Encoder(network),
            (pictures, tokens, present),
            dynamo=True,
            dynamic_shapes=({0: batch}, {0: batch, 1: length}, {0: batch}),
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            optimize=True,
            verbose=False,
        )
        assert program is not None
        _count_listings_by_titles(program)
        _forget_origin(program)
        program.save(temporary, external_data=False)


def _forget_origin(program: torch.onnx.ONNXProgram) -> None:
    """Removes the exporter's notes on where in the source each node comes from: they name folders of this machine, and
    without them the same network gives the same file, so that a lost one can be written again."""
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()
    for part in (program.model, program.model.graph):
        part.metadata_props.clear()


def _count_listings_by_titles(program: torch.onnx.ONNXProgram) -> None:
    """Makes the graph read the batch size from the tokens, because TensorRT accepts uint8 pictures for a cast only."""
    pictures, tokens, _ = program.model.graph.inputs
    for node, index in tuple(pictures.uses()):
        if node.op_type == "Shape":
            assert (node.attributes["start"].value, node.attributes["end"].value) == (0, 1)
            node.replace_input_with(index, tokens)
