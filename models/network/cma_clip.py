"""CMA-CLIP (Liu et al. 2021): CLIP's towers, sequence-wise attention; per task, modality-wise attention and a head."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.attention import Concatenation, ModalityWiseAttention, NoSequenceAttention, SequenceWiseAttention
from models.network.embeddings import ImageSequence, TitleSequence
from models.network.towers import ClipBackbone


class Encoded(NamedTuple):
    """The features of pictures and titles: I′ and T′, and the towers' own global embeddings."""

    image_out: Float[Tensor, "B D"]
    title_out: Float[Tensor, "B D"]
    image_embedding: Float[Tensor, "B D"]
    title_embedding: Float[Tensor, "B D"]


class Classified(NamedTuple):
    """The (B, C_k) logits of each task; λ, the weight of the image in each task, in [0, 1]; and the logits that picture
    and title belong together, from I′ and from T′."""

    logits: list[Tensor]
    image_weight: Float[Tensor, "B K"]
    match: Float[Tensor, "B 2"]


class CmaClip(nn.Module):
    """The network. Engines run `encode`; `classify`, `probe` and `pooled` read its outputs, which may be stored."""

    pool: Tensor

    def __init__(
        self,
        backbone: ClipBackbone,
        *,
        classes: list[int],
        attention_layers: int,
        attention_heads: int,
        hidden: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        reads_agreement: bool = False,
        sequence_attention: bool = True,
        modality_attention: bool = True,
    ) -> None:
        super().__init__()
        width = backbone.width
        self.backbone = backbone
        self.classes = classes
        self.reads_agreement = reads_agreement and sequence_attention
        self.sequence_attention: nn.Module = (
            SequenceWiseAttention(
                width=width,
                layers=attention_layers,
                heads=attention_heads,
                dropout=attention_dropout,
                reads_agreement=reads_agreement,
            )
            if sequence_attention
            else NoSequenceAttention()
        )
        self.modality_attentions = nn.ModuleList(
            ModalityWiseAttention(width=width) if modality_attention else Concatenation() for _ in classes
        )
        fused = width if modality_attention else 2 * width
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Linear(fused, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, count))
            for count in classes
        )
        # Not in the paper: image–text matching, whether picture and title are of one listing, from I′ and from T′. Both
        # must encode it, so that a head can be unsure where they are not.
        self.matching = nn.Linear(width, 1)
        # Not in the paper: linear probes of each tower's embedding. What the picture and the title say by themselves is
        # evidence of noise, and supervises towers that start from random weights.
        self.image_probes = nn.ModuleList(nn.Linear(width, count) for count in classes)
        self.title_probes = nn.ModuleList(nn.Linear(width, count) for count in classes)
        # Not in the paper: where both embeddings are compared. At first this is the joint space itself; the contrastive
        # loss then need not bend embeddings that tell values apart.
        self.alignments = nn.ModuleList(_identity(width) for _ in range(2))
        # Per task, the weights of head, image probe and title probe: the head only, until opinion_pool.py fits them.
        self.register_buffer("pool", torch.eye(3)[0].repeat(len(classes), 1))

    def encode(
        self,
        pictures: UInt8[Tensor, "B H W 3"],
        tokens: Int[Tensor, "B T"],
        present: Bool[Tensor, "B 2"],
    ) -> Encoded:
        """The features of B listings. `present`: which of picture and title a listing has, at least one of them."""
        return self.attend(self.backbone.images(pictures), self.backbone.titles(tokens), present)

    def attend(self, image: ImageSequence, title: TitleSequence, present: Bool[Tensor, "B 2"]) -> Encoded:
        """The features of B listings from the towers' outputs."""
        seen = present[:, :1].expand(-1, image.sequence.shape[1])
        valid = torch.cat([seen, title.valid & present[:, 1:]], dim=1)
        agreement = None
        if self.reads_agreement:
            pair = [F.normalize(part, dim=1) for part in self.aligned(image.embedding, title.embedding)]
            agreement = pair[0] * pair[1] * pair[0].shape[1] * present.all(dim=1, keepdim=True)
        image_out, title_out = self.sequence_attention(image.sequence, title.sequence, valid, title.end, agreement)
        return Encoded(image_out, title_out, image.embedding, title.embedding)

    def classify(
        self,
        image_out: Float[Tensor, "B D"],
        title_out: Float[Tensor, "B D"],
        present: Bool[Tensor, "B 2"],
    ) -> Classified:
        """What the heads answer to the features I′ and T′."""
        fused = [attend(image_out, title_out, present) for attend in self.modality_attentions]
        logits = [head(context) for head, (context, _) in zip(self.heads, fused, strict=True)]
        match = self.matching(torch.stack([image_out, title_out], dim=1))[..., 0]
        return Classified(logits, torch.stack([weight for _, weight in fused], dim=1), match)

    def probe(
        self, image_embedding: Float[Tensor, "B D"], title_embedding: Float[Tensor, "B D"]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Per task, the (B, C_k) logits of the picture by itself and of the title by itself."""
        return (
            [probe(image_embedding) for probe in self.image_probes],
            [probe(title_embedding) for probe in self.title_probes],
        )

    def aligned(
        self, image_embedding: Float[Tensor, "B D"], title_embedding: Float[Tensor, "B D"]
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """The towers' embeddings where CLIP's loss compares them, and where their cosine is taken."""
        picture, title = self.alignments
        return picture(image_embedding), title(title_embedding)

    def pooled(
        self,
        logits: list[Tensor],
        image_logits: list[Tensor],
        title_logits: list[Tensor],
        present: Bool[Tensor, "B 2"],
    ) -> list[Tensor]:
        """Per task, the (B, C_k) weighted sum of head and probe logits, without the probe of a missing modality."""
        image, title = present.T[..., None]
        return [
            of_head * head + of_image * by_image.log_softmax(1) * image + of_title * by_title.log_softmax(1) * title
            for (of_head, of_image, of_title), head, by_image, by_title in zip(
                self.pool, logits, image_logits, title_logits, strict=True
            )
        ]


def _identity(width: int) -> nn.Linear:
    layer = nn.Linear(width, width)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
