"""The paper's two attentions: sequence-wise, equations (1) and (2), and modality-wise, equations (3) to (6)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F


class EncoderLayer(nn.Module):
    """A pre-norm transformer layer. Its query rows may be fewer than the sequence that they attend to."""

    def __init__(self, *, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = nn.Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)
        narrow = nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), narrow)
        # At first a layer hands on its rows as they are: fusion starts from what the towers say.
        for last in (self.output, narrow):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(
        self,
        rows: Float[Tensor, "B Q D"],
        sequence: Float[Tensor, "B S D"],
        valid: Bool[Tensor, "B S"],
    ) -> Float[Tensor, "B Q D"]:
        query = self._split(self.query(self.attention_norm(rows)))  # (1)
        key, value = (self._split(part) for part in self.key_value(self.attention_norm(sequence)).chunk(2, dim=-1))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=valid[:, None, None, :])  # (2)
        rows = rows + self.dropout(self.output(attended.transpose(1, 2).flatten(2)))
        return rows + self.dropout(self.mlp(rows))

    def _split(self, x: Float[Tensor, "B N D"]) -> Float[Tensor, "B heads N D/heads"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SequenceWiseAttention(nn.Module):
    """A transformer over all patches and tokens. Returns I′ and T′, the outputs at the class and end-of-text positions;
    the last layer computes these two rows only.

    Not in the paper: with `reads_agreement`, these rows are told before the last layer how far picture and title agree.
    By itself one layer of attention hardly learns to see it (docs/decisions/0016).
    """

    def __init__(
        self, *, width: int, layers: int, heads: int, dropout: float = 0.0, reads_agreement: bool = False
    ) -> None:
        super().__init__()
        self.agreement = nn.Linear(width, 2 * width, bias=False) if reads_agreement else None
        if self.agreement is not None:
            nn.init.zeros_(self.agreement.weight)
        self.layers = nn.ModuleList(EncoderLayer(width=width, heads=heads, dropout=dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        image: Float[Tensor, "B I D"],
        title: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B I+T"],
        title_end: Int[Tensor, " B"],
        agreement: Float[Tensor, "B D"] | None = None,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """`agreement`: the product of the two global embeddings; 0 where picture or title is missing."""
        sequence = torch.cat([image, title], dim=1)
        end = (title_end + image.shape[1])[:, None, None].expand(-1, 1, sequence.shape[-1])
        for layer in self.layers[:-1]:
            sequence = layer(sequence, sequence, valid)
        ends = torch.cat([sequence[:, :1], sequence.gather(1, end)], dim=1)
        if self.agreement is not None:
            ends = ends + self.agreement(agreement).unflatten(1, (2, -1))
        image_out, title_out = self.norm(self.layers[-1](ends, sequence, valid)).unbind(dim=1)
        return image_out, title_out


class NoSequenceAttention(nn.Module):
    """The ablation of sequence-wise attention: I′ and T′ are the towers' own global embeddings."""

    def forward(
        self,
        image: Float[Tensor, "B I D"],
        title: Float[Tensor, "B T D"],
        valid: Bool[Tensor, "B I+T"],
        title_end: Int[Tensor, " B"],
        agreement: Float[Tensor, "B D"] | None = None,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        end = title_end[:, None, None].expand(-1, 1, title.shape[-1])
        return image[:, 0], title.gather(1, end)[:, 0]


class ModalityWiseAttention(nn.Module):
    """Keyless attention with one vector w for both modalities. Returns c = λI′ + (1−λ)T′, and λ."""

    def __init__(self, *, width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(
        self,
        image_out: Float[Tensor, "B D"],
        title_out: Float[Tensor, "B D"],
        present: Bool[Tensor, "B 2"],
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, " B"]]:
        modalities = torch.stack([image_out, title_out], dim=1)
        energy = (modalities * self.w).sum(-1)  # (4), (5)
        weight = energy.masked_fill(~present, float("-inf")).softmax(dim=1)  # (6); a missing modality weighs exactly 0
        return (weight[..., None] * modalities).sum(dim=1), weight[:, 0]  # (3)


class Concatenation(nn.Module):
    """The ablation of modality-wise attention: c = [I′, T′], a missing modality as zeros. λ is always ½."""

    def forward(
        self,
        image_out: Float[Tensor, "B D"],
        title_out: Float[Tensor, "B D"],
        present: Bool[Tensor, "B 2"],
    ) -> tuple[Float[Tensor, "B 2*D"], Float[Tensor, " B"]]:
        modalities = torch.stack([image_out, title_out], dim=1).masked_fill(~present[..., None], 0.0)
        return modalities.flatten(1), image_out.new_full((len(image_out),), 0.5)
