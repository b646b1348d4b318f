"""Many listings through an engine, and what the heads make of the features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from models.cma_clip import CmaClip
from models.engines import Features, InferenceEngine
from models.examples import Examples
from models.processor import trim

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Predictions:
    """Per task: the pooled logits, and those of the picture alone and the title alone, each (N, C_k); λ is (N, K)."""

    logits: list[Floats]
    image_weight: Floats
    image_logits: list[Floats]
    title_logits: list[Floats]
    similarity: Floats  # (N,) cosine of the towers' global embeddings
    match: Floats  # (N,) logit that picture and title belong together


def encode(
    engine: InferenceEngine,
    examples: Examples,
    *,
    batch: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Features:
    """Runs an engine over listings, batch by batch (of as many as the engine wants, unless said otherwise); order is
    kept."""
    parts, batches = [], in_batches(examples, batch or engine.batch)
    for rows in batches:
        chunk = examples.take(rows)
        parts.append(engine(chunk.pictures, trim(chunk.tokens), chunk.present))
        if progress:
            progress(len(rows))
    back = np.argsort(np.concatenate(batches), kind="stable")
    return Features(*(np.concatenate(columns)[back] for columns in zip(*parts, strict=True)))


def in_batches(examples: Examples, batch: int) -> list[NDArray[np.intp]]:
    """The rows of each batch: sorted by title length, so that little padding is computed."""
    order = np.argsort((examples.tokens != 0).sum(axis=1), kind="stable")
    return [order[start : start + batch] for start in range(0, len(order), batch)]


def classify(network: CmaClip, features: Features, present: NDArray[np.bool_]) -> Predictions:
    """The heads, on the device of the network; no picture is needed."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode():
        image_out, title_out, image, title = (torch.from_numpy(part).to(device) for part in features)
        here = torch.from_numpy(present).to(device)
        fused = network.classify(image_out, title_out, here)
        image_logits, title_logits = network.probe(image, title)
        logits = network.pooled(fused.logits, image_logits, title_logits, here)
        similarity = torch.nn.functional.cosine_similarity(image, title)
    return Predictions(
        logits=[part.cpu().numpy() for part in logits],
        image_weight=fused.image_weight.cpu().numpy(),
        image_logits=[part.cpu().numpy() for part in image_logits],
        title_logits=[part.cpu().numpy() for part in title_logits],
        similarity=similarity.cpu().numpy(),
        match=fused.match.mean(dim=1).cpu().numpy(),
    )
