"""A title tower that cannot memorise titles: word meanings by latent semantic analysis, which training leaves alone."""

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.embeddings import TitleSequence


class TitleTower(nn.Module):
    """Token vectors from latent semantic analysis (Deerwester et al. 1990), and their projection into the joint space.

    `fit` sets the vectors once, before training, from titles without labels: tokens that appear in alike titles get
    alike vectors. A token's vector has length √components; that of the end-of-text position is the sum over the title,
    rare tokens the most, scaled to the same length. Tokens that no title had are zero.
    """

    vectors: Tensor
    fitted: Tensor

    def __init__(self, *, vocabulary: int, components: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(vocabulary, components, dtype=torch.float16))
        self.register_buffer("fitted", torch.tensor(False))
        self.projection = nn.Linear(components, width)

    def fit(self, tokens: Int[np.ndarray, "N T"], *, seed: int = 0) -> None:
        """Sets the vectors from the token ids of N titles (0: padding; the first token and the highest, the end of the
        text, are in every title and say nothing)."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer=_words, sublinear_tf=True)
        titles = vectorizer.fit_transform(tokens)
        components = min(self.vectors.shape[1], titles.shape[1] - 1)
        analysis = TruncatedSVD(components, random_state=seed).fit(titles)
        scale = np.sqrt(np.maximum(analysis.singular_values_, 1e-3))
        found = analysis.components_.T * vectorizer.idf_[:, None] / scale
        self.vectors.zero_()
        ids = torch.tensor([vectorizer.vocabulary_[token] for token in sorted(vectorizer.vocabulary_)])
        self.vectors[torch.tensor(sorted(vectorizer.vocabulary_)), :components] = torch.from_numpy(found)[ids].half()
        self.fitted.fill_(True)

    def forward(self, tokens: Int[Tensor, "B T"], *, dropout: float = 0.0) -> TitleSequence:
        """The embeddings of token ids, padded with zeros. `dropout` of the vectors' numbers, while training."""
        end = tokens.argmax(dim=-1)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        vectors = self.vectors[tokens].float()  # of the first and the last token they are 0
        at_end = (positions == end[:, None])[..., None]
        vectors = torch.where(at_end, vectors.sum(dim=1, keepdim=True), vectors)
        vectors = F.normalize(vectors, dim=-1, eps=1e-6) * vectors.shape[-1] ** 0.5
        sequence = self.projection(F.dropout(vectors, dropout, self.training))
        embedding = sequence.gather(1, end[:, None, None].expand(-1, 1, sequence.shape[-1]))[:, 0]
        return TitleSequence(sequence, embedding, end, positions <= end[:, None])


def _words(tokens: Int[np.ndarray, " T"]) -> list[int]:
    """The tokens of a title between the first and the end of the text."""
    return [int(token) for token in tokens[1 : int(tokens.argmax())]]
