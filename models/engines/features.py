"""Features of listings: from an engine, through the heads, and stored as bfloat16."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from models.engines.interface import Features, InferenceEngine, Predictions
from models.inputs.arrays import Floats
from models.inputs.examples import Examples
from models.inputs.preprocessing import trim
from models.network.cma_clip import CmaClip

_BLOCK = 512  # listings that the heads read at once


def encode(
    engine: InferenceEngine,
    examples: Examples,
    *,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Features:
    """The features of N listings in their order, computed in batches of `batch` (None: the engine's preferred size).
    `progress` is called with the number of listings of each batch."""
    parts, batches = [], in_batches(examples, batch or engine.batch)

    def one(rows: NDArray[np.intp]) -> Features:
        chunk = examples.take(rows)
        return engine(chunk.pictures, trim(chunk.tokens), chunk.present)

    with ThreadPoolExecutor(engine.streams) as pool:
        done = pool.map(one, batches) if engine.streams > 1 else map(one, batches)
        for rows, part in zip(batches, done, strict=True):
            parts.append(part)
            if progress:
                progress(len(rows))
    back = np.argsort(np.concatenate(batches), kind="stable")
    return Features(*(np.concatenate(columns)[back] for columns in zip(*parts, strict=True)))


def in_batches(examples: Examples, batch: int) -> list[NDArray[np.intp]]:
    """The rows of each batch, sorted by title length, so that little padding is computed."""
    order = np.argsort((examples.tokens != 0).sum(axis=1), kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def classify(network: CmaClip, features: Features, present: NDArray[np.bool_]) -> Predictions:
    """What the heads answer to the features of N listings; `present` (N, 2) says which modalities each has.

    The features are rounded as they are stored, and the heads always read `_BLOCK` listings at once, because a matrix
    product of another size may round differently: a listing's numbers must not depend on the others in its batch.
    """
    network.eval()
    blocks = [
        _classify(network, Features(*(part[start : start + _BLOCK] for part in features)), present[start:][:_BLOCK])
        for start in range(0, max(1, len(present)), _BLOCK)
    ]
    return Predictions(
        logits=_joined([block.logits for block in blocks]),
        image_weight=np.concatenate([block.image_weight for block in blocks]),
        image_logits=_joined([block.image_logits for block in blocks]),
        title_logits=_joined([block.title_logits for block in blocks]),
        similarity=np.concatenate([block.similarity for block in blocks]),
        match=np.concatenate([block.match for block in blocks]),
    )


def _joined(blocks: list[list[Floats]]) -> list[Floats]:
    return [np.concatenate(parts) for parts in zip(*blocks, strict=True)]


def _classify(network: CmaClip, features: Features, present: NDArray[np.bool_]) -> Predictions:
    count, device = len(present), next(network.parameters()).device

    def block(part: NDArray[np.generic]) -> torch.Tensor:
        padding = np.ones((_BLOCK - count, *part.shape[1:]), part.dtype)
        return torch.from_numpy(np.concatenate([part, padding])).to(device)

    def numpy(tensor: torch.Tensor) -> Floats:
        return tensor[:count].cpu().numpy()

    with torch.inference_mode():
        image_out, title_out, image, title = (block(part) for part in rounded(features))
        here = block(present)
        fused = network.classify(image_out, title_out, here)
        image_logits, title_logits = network.probe(image, title)
        return Predictions(
            logits=[numpy(part) for part in network.pooled(fused.logits, image_logits, title_logits, here)],
            image_weight=numpy(fused.image_weight),
            image_logits=[numpy(part) for part in image_logits],
            title_logits=[numpy(part) for part in title_logits],
            similarity=numpy(torch.nn.functional.cosine_similarity(*network.aligned(image, title))),
            match=numpy(fused.match.mean(dim=1)),
        )


def rounded(features: Features) -> Features:
    """The features rounded to bfloat16, as float32."""
    return Features(*(torch.from_numpy(part).bfloat16().float().numpy() for part in features))


def packed(features: Features) -> pl.Series:
    """The features as N binaries of 8·D bytes: I′, T′ and the towers' embeddings in bfloat16."""
    numbers = torch.from_numpy(np.stack(features, axis=1)).bfloat16().view(torch.int16).numpy()
    return pl.Series("features", [row.tobytes() for row in numbers], pl.Binary)


def unpacked(series: pl.Series) -> Features:
    """The rounded features that `packed` encoded, bit for bit."""
    numbers = np.frombuffer(bytearray().join(series), dtype=np.int16)
    numbers = numbers.reshape(len(series), len(Features._fields), -1 if len(series) else 0)
    whole = torch.from_numpy(numbers).view(torch.bfloat16).float()
    return Features(*(part.numpy() for part in whole.unbind(dim=1)))
