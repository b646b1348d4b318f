"""The shape of a network: which towers, how many layers, which attentions. Loads no PyTorch."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WeightsOrigin:
    """Where the pretrained weights of a picture tower come from. `sha256` is that of their file, or of their tensors
    where they came from a hub; `licence` is None where the source states none."""

    trunk: str
    source: str
    licence: str | None
    sha256: str

    def __str__(self) -> str:
        return f"{self.trunk}: {self.source} ({self.licence or 'licence not stated'}), sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True)
class PictureTowerShape:
    """A `PictureTower`: `trunk` is any convolutional network or vision transformer that timm knows by name."""

    trunk: str
    image_size: tuple[int, int] | None = None  # height and width in pixels; None: those of the trunk's own training
    grid: tuple[int, int] | None = None  # rows and columns of patches; None: those of the trunk's last map
    hidden: int = 512  # units of the MLP that embeds the whole picture
    dropout: float = 0.0  # of features, and of that MLP


@dataclass(frozen=True, kw_only=True)
class TitleTowerShape:
    """A `TitleTower`: how many numbers a token's vector has."""

    components: int


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The shape of a `CmaClip`; `backbone` is any name that open_clip understands."""

    backbone: str
    attention_layers: int
    attention_heads: int
    hidden: int
    dropout: float = 0.0  # of the heads
    attention_dropout: float = 0.0  # of sequence-wise attention
    reads_agreement: bool = False  # sequence-wise attention does, of the towers' embeddings
    sequence_attention: bool = True  # without it, I′ and T′ are the towers' global embeddings
    modality_attention: bool = True  # without it, the heads read I′ and T′ side by side
    picture_tower: PictureTowerShape | None = None  # instead of the backbone's image tower
    title_tower: TitleTowerShape | None = None  # instead of the backbone's text tower
