"""A title tower that cannot memorise labels: vectors of tokens from what pictures show, which training leaves alone."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.embeddings import TitleSequence

_PENALTY = 10.0  # of the ridge regression
_COMPONENTS = 128  # of the pictures' features


class TitleTower(nn.Module):
    """Vectors of tokens, and their projection into the joint space.

    `fit` sets the vectors once, before training, from pairs of title and picture without labels: a ridge regression
    from a title's words (TF-IDF) to the features of its picture. It is to a frozen picture tower what locked-image
    tuning (LiT, Zhai et al. 2022) is, in closed form. A token's vector has length √components; that of the end-of-text
    position is the sum over the title, rare tokens the most, scaled to the same length. Tokens that no title had are
    zero.
    """

    vectors: Tensor
    fitted: Tensor

    def __init__(self, *, vocabulary: int, components: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(vocabulary, components, dtype=torch.float16))
        self.register_buffer("fitted", torch.tensor(False))
        self.projection = nn.Linear(components, width)

    def fit(
        self, tokens: Int[np.ndarray, "N T"], pictures: Float[np.ndarray, "N G"] | None = None, *, seed: int = 0
    ) -> None:
        """Sets the vectors from the token ids of N titles (0: padding; the first token and the highest, the end of the
        text, are in every title and say nothing) and the features of their pictures. Without pictures, latent semantic
        analysis stands in for them: tokens that appear in alike titles get alike vectors."""
        from sklearn.decomposition import PCA, TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import Ridge

        vectorizer = TfidfVectorizer(analyzer=_words, sublinear_tf=True)
        titles = vectorizer.fit_transform(tokens)
        if pictures is None:
            seen = TruncatedSVD(min(_COMPONENTS, titles.shape[1] - 1), random_state=seed).fit_transform(titles)
        else:
            seen = PCA(min(_COMPONENTS, *pictures.shape), whiten=True, random_state=seed).fit_transform(pictures)
        regression = Ridge(alpha=_PENALTY, solver="sparse_cg", fit_intercept=False, tol=1e-3).fit(titles, seen)
        predicted = titles @ regression.coef_.T
        directions = np.linalg.svd(predicted - predicted.mean(axis=0), full_matrices=False)[2]
        kept = directions[: self.vectors.shape[1]]
        found = (regression.coef_.T * vectorizer.idf_[:, None]) @ kept.T
        self.vectors.zero_()
        ids = list(vectorizer.vocabulary_)
        columns = [vectorizer.vocabulary_[token] for token in ids]
        self.vectors[ids, : len(kept)] = torch.from_numpy(found[columns]).half()
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
        return TitleSequence.of(sequence, end)


def _words(tokens: Int[np.ndarray, " T"]) -> list[int]:
    """The tokens of a title between the first and the end of the text."""
    return [int(token) for token in tokens[1 : int(tokens.argmax())]]
