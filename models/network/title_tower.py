"""A title tower that cannot memorise titles: vectors of tokens from regressions, which training leaves alone."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from models.network.embeddings import TitleSequence

_PENALTY = 5.0  # of the ridge regression to pictures
_COMPONENTS = 128  # of the pictures' features
_LABEL_PENALTY = 20.0  # of that to labels: a title's own label is in what it learns from
_LABEL_WEIGHT = 4.0  # of a value, where a component of the pictures' features weighs 1


class TitleTower(nn.Module):
    """Vectors of tokens, and their projection into the joint space.

    `fit` sets the vectors once, before training: ridge regressions from a title's words (TF-IDF) to the features of its
    picture and to its labels. The first is to a frozen picture tower what locked-image tuning (LiT, Zhai et al. 2022)
    is, in closed form. A token's vector is its share of what the regressions say of the title; that of the end-of-text
    position is their sum, whose numbers have a mean square of 1 over the titles. Words that few titles had are short,
    since the regressions shrink them, and tokens that none had are zero.
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
        self,
        tokens: Int[np.ndarray, "N T"],
        labels: Int[np.ndarray, "N K"],
        pictures: Float[np.ndarray, "N G"] | None = None,
        *,
        seed: int = 0,
    ) -> None:
        """Sets the vectors from the token ids of N titles (0: padding; the first token and the highest, the end of the
        text, are in every title and say nothing), their labels (−1: none) and the features of their pictures. Without
        pictures, latent semantic analysis stands in for them: tokens that appear in alike titles get alike vectors."""
        from sklearn.decomposition import PCA, TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer=_words, sublinear_tf=True)
        titles = vectorizer.fit_transform(tokens)
        if pictures is None:
            seen = TruncatedSVD(min(_COMPONENTS, titles.shape[1] - 1), random_state=seed).fit_transform(titles)
        else:
            seen = PCA(min(_COMPONENTS, *pictures.shape), whiten=True, random_state=seed).fit_transform(pictures)
        values = _LABEL_WEIGHT * np.concatenate([_indicators(of_task) for of_task in labels.T], axis=1)
        coefficients = np.vstack([_regression(titles, seen, _PENALTY), _regression(titles, values, _LABEL_PENALTY)])
        predicted = titles @ coefficients.T
        predicted -= predicted.mean(axis=0)
        kept = np.linalg.svd(predicted, full_matrices=False)[2][: self.vectors.shape[1]]
        found = (coefficients.T * vectorizer.idf_[:, None]) @ kept.T
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


def _indicators(labels: Int[np.ndarray, " N"]) -> Float[np.ndarray, "N C"]:
    """Which value each listing has: of mean 0 and mean square 1 over those with a label, and 0 for the others."""
    known = labels >= 0
    indicators = np.eye(labels.max(initial=0) + 1)[labels] * known[:, None]
    indicators[known] -= indicators.sum(axis=0) / max(known.sum(), 1)
    return np.asarray(indicators / (indicators[known].std() + 1e-6 if known.any() else 1.0))


def _regression(titles: Any, targets: Float[np.ndarray, "N G"], penalty: float) -> Float[np.ndarray, "G V"]:
    """The coefficients of a ridge regression from the TF-IDF of V tokens."""
    from sklearn.linear_model import Ridge

    ridge = Ridge(alpha=penalty, solver="sparse_cg", fit_intercept=False, tol=1e-3)
    return np.asarray(ridge.fit(titles, targets).coef_)
