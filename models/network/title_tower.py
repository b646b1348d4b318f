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
_LABEL_WEIGHT = 5.0  # of the values that titles say for certain; a component of the features weighs 1
_FOLDS = 3


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
        equal = np.unique(tokens, axis=0, return_inverse=True)[1].ravel()
        coefficients = np.vstack(
            [_ridge(_PENALTY).fit(titles, seen).coef_, *(_of_labels(titles, of_task, equal) for of_task in labels.T)]
        )
        predicted = titles @ coefficients.T
        predicted -= predicted.mean(axis=0)
        kept = np.linalg.svd(predicted, full_matrices=False)[2][: self.vectors.shape[1]]
        found = (coefficients.T * vectorizer.idf_[:, None]) @ kept.T
        found /= max(np.sqrt(np.square(predicted @ kept.T).mean()), 1e-3)  # all titles may be equal
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


def _of_labels(titles: Any, labels: Int[np.ndarray, " N"], equal: Int[np.ndarray, " N"]) -> Float[np.ndarray, "C V"]:
    """The coefficients of a regression from titles (N×V) to the values of an attribute. They weigh as much as they say
    of titles that they were not learned from: the share of variance that they explain (R²), in cross-validation.
    `equal` numbers the titles; equal ones have one number and stay together."""
    from sklearn.model_selection import GroupKFold, cross_val_predict

    known = labels >= 0
    titles, labels, equal = titles[known], labels[known], equal[known]
    if len(np.unique(labels)) < 2 or len(np.unique(equal)) < _FOLDS:
        return np.zeros((0, titles.shape[1]))
    values = np.eye(labels.max() + 1)[labels]
    values -= values.mean(axis=0)
    values /= values.std()
    ridge = _ridge(_LABEL_PENALTY)
    predicted = cross_val_predict(ridge, titles, values, groups=equal, cv=GroupKFold(_FOLDS))
    explained = max(0.0, 1 - np.square(values - predicted).mean())
    return np.asarray(_LABEL_WEIGHT * explained * ridge.fit(titles, values).coef_)


def _ridge(penalty: float) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=penalty, solver="sparse_cg", fit_intercept=False, tol=1e-3)
