"""A title tower that cannot memorise titles: vectors of tokens from a regression, which training leaves alone."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.embeddings import TitleSequence

_PENALTY = 5.0  # of the ridge regression
_COMPONENTS = 128  # of the pictures' features


class TitleTower(nn.Module):
    """Vectors of tokens, and their projection into the joint space.

    `fit` sets the vectors once, before training and without labels: a ridge regression from a title's words (TF-IDF)
    to the features of its picture. It is to a frozen picture tower what locked-image tuning (LiT, Zhai et al. 2022)
    is, in closed form. A token's vector is its share of what the regression says of the title; that of the end-of-text
    position is their sum, whose numbers have a mean square of 1 over the titles. Words that few titles had are short,
    since the regression shrinks them, and tokens that none had are zero.
    """

    vectors: Tensor
    idf: Tensor
    fitted: Tensor

    def __init__(self, *, vocabulary: int, components: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(vocabulary, components, dtype=torch.float16))
        self.register_buffer("idf", torch.zeros(vocabulary))
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
        predicted -= predicted.mean(axis=0)
        kept = np.linalg.svd(predicted, full_matrices=False)[2][: self.vectors.shape[1]]
        found = (regression.coef_.T * vectorizer.idf_[:, None]) @ kept.T
        found /= np.sqrt(np.square(predicted @ kept.T).mean()) + 1e-6
        for buffer in (self.vectors, self.idf):
            buffer.zero_()
        ids = list(vectorizer.vocabulary_)
        columns = [vectorizer.vocabulary_[token] for token in ids]
        self.vectors[ids, : len(kept)] = torch.from_numpy(found[columns]).half()
        self.idf[ids] = torch.from_numpy(vectorizer.idf_[columns]).float()
        self.fitted.fill_(True)

    def forward(self, tokens: Int[Tensor, "B T"], *, dropout: float = 0.0) -> TitleSequence:
        """The embeddings of token ids, padded with zeros. `dropout` of the vectors' numbers, while training."""
        end = tokens.argmax(dim=-1)
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        length = self.idf[tokens].square().sum(dim=1).sqrt()  # of the title's TF-IDF, which `fit` scaled to 1
        # The first and the last token have the vector 0.
        vectors = self.vectors[tokens].float() / length.clamp(min=1e-6)[:, None, None]
        at_end = (positions == end[:, None])[..., None]
        vectors = torch.where(at_end, vectors.sum(dim=1, keepdim=True), vectors)
        sequence = self.projection(F.dropout(vectors, dropout, self.training))
        return TitleSequence.of(sequence, end)


def _words(tokens: Int[np.ndarray, " T"]) -> list[int]:
    """The tokens of a title between the first and the end of the text."""
    return [int(token) for token in tokens[1 : int(tokens.argmax())]]
