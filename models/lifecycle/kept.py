"""Features as they are kept: bf16, and the name of everything that their numbers depend on."""

import json
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl
import torch
from safetensors import safe_open

from models.engines.interface import EngineIdentity, Features
from models.lifecycle.card import WEIGHTS, ModelCard

_ENCODER = ("backbone.", "sequence_attention.")  # the weights behind the features; all others read them


def rounded(features: Features) -> Features:
    """Every number as bf16 says it, as float32."""
    return Features(*(torch.from_numpy(part).bfloat16().float().numpy() for part in features))


def packed(features: Features) -> pl.Series:
    """One value a listing: I′, T′ and the towers' embeddings in bf16, one after another, 8·D bytes."""
    numbers = torch.from_numpy(np.stack(features, axis=1)).bfloat16().view(torch.int16).numpy()
    return pl.Series("features", [row.tobytes() for row in numbers], pl.Binary)


def unpacked(series: pl.Series) -> Features:
    """What `packed` made of rounded features, to the last bit."""
    numbers = np.frombuffer(bytearray().join(series), dtype=np.int16).reshape(len(series), len(Features._fields), -1)
    whole = torch.from_numpy(numbers).view(torch.bfloat16).float()
    return Features(*(part.numpy() for part in whole.unbind(dim=1)))


def encoder_key(folder: Path, card: ModelCard, engine: EngineIdentity) -> str:
    """Names the features that the model in `folder` makes on an engine: models that differ in modality-wise attentions,
    heads, probes, thresholds or rules for noise only share it."""
    shape = card.preset.architecture
    facts = {
        "code": version("cma-tagger"),
        "engine": engine.to_dict(),
        "backbone": [shape.backbone, card.preset.pretrained, card.image_size, card.context_length],
        "attention": [shape.sequence_attention, shape.attention_layers, shape.attention_heads],
    }
    digest = blake2b(json.dumps(facts).encode(), digest_size=16)
    with safe_open(folder / WEIGHTS, "numpy") as weights:
        for name in sorted(weights.keys()):
            if name.startswith(_ENCODER):
                tensor = weights.get_tensor(name)
                digest.update(f"\0{name}\0{tensor.dtype}\0{tensor.shape}\0".encode())
                digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()
