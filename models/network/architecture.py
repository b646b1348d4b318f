"""The shape of a network: which towers, how many layers, which attentions. Loads no PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The shape of a `CmaClip`; `backbone` is any name that open_clip understands."""

    backbone: str
    attention_layers: int
    attention_heads: int
    hidden: int
    dropout: float = 0.0
    sequence_attention: bool = True  # without it, I′ and T′ are the towers' global embeddings
    modality_attention: bool = True  # without it, the heads read I′ and T′ side by side
