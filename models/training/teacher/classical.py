"""The classical baseline: picture and title are classified separately, from hand-made features, and fused late."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from models.inputs.examples import Examples
from models.training.teacher.opinion_pool import pooling_weights
from models.training.teacher.picture_kernel import PictureKernel
from models.training.teacher.stored_features import PictureFeatures

_INVERSE_REGULARISATION = 10.0  # scikit-learn's C
_LEAST = 1e-9  # lowest probability, so that logarithms stay finite

Logs = Float[np.ndarray, "N C"]


class ClassicalBaseline:
    """For each attribute a logistic regression on the picture's features, one on the title's TF-IDF of tokens and pairs
    of tokens, and three weights that pool them with the prior. `features` are those of pictures (None: not stored)."""

    def __init__(self, classes: list[int], *, seed: int = 0, features: PictureFeatures | None = None) -> None:
        self._classes = classes
        self._pictures = PictureKernel(seed=seed, features=features)
        self._titles = title_vectorizer()
        self._classifiers: list[tuple[Classifier, Classifier]] = []  # by picture and by title
        self._weights: list[Float[np.ndarray, " 3"]] = []

    def fit(self, examples: Examples, validation: Examples) -> "ClassicalBaseline":
        """Trains the classifiers on `examples` and fits the weights of picture, title and prior on `validation`. Both
        need listings with a picture and a title."""
        pictured, titled = (examples.take(has) for has in examples.present.T)
        by_picture = self._train(self._pictures.fit_transform(pictured.pictures), pictured)
        by_title = self._train(self._titles.fit_transform(titled.tokens), titled)
        self._classifiers = list(zip(by_picture, by_title, strict=True))
        both = validation.take(np.logical_and(*validation.present.T))
        for evidence, labels in zip(self._evidence(both), both.labels.T, strict=True):
            known = labels >= 0
            self._weights.append(pooling_weights(evidence[:, known], labels[known]))
        return self

    def logits(self, examples: Examples) -> list[Logs]:
        """Per attribute the pooled log-probabilities. The prior stands in for a missing picture or title."""
        pairs = zip(self._weights, self._evidence(examples), strict=True)
        return [np.tensordot(weights, evidence, axes=1) for weights, evidence in pairs]

    def _train(self, features: Any, examples: Examples) -> list["Classifier"]:
        return [
            Classifier(features[labels >= 0], labels[labels >= 0], classes)
            for labels, classes in zip(examples.labels.T, self._classes, strict=True)
        ]

    def _evidence(self, examples: Examples) -> Iterator[Float[np.ndarray, "3 N C"]]:
        """Per attribute the log-probabilities by the picture, by the title, and by the prior."""
        pictures, titles = self._pictures.transform(examples.pictures), self._titles.transform(examples.tokens)
        has_picture, has_title = examples.present.T[:, :, None]
        for by_picture, by_title in self._classifiers:
            prior = np.broadcast_to(by_picture.log_prior, (len(examples), len(by_picture.log_prior)))
            picture = np.where(has_picture, by_picture(pictures), prior)
            yield np.stack([picture, np.where(has_title, by_title(titles), prior), prior])


class Classifier:
    """Logistic regression over all values, of which those without a label get next to no probability."""

    def __init__(self, features: Any, labels: Int[np.ndarray, " N"], classes: int) -> None:
        self.log_prior = log_prior(labels, classes)
        self._regression = None
        if len(np.unique(labels)) > 1:
            self._regression = LogisticRegression(C=_INVERSE_REGULARISATION, tol=1e-3, max_iter=500)
            self._regression.fit(features, labels)

    def __call__(self, features: Any) -> Logs:
        """Log-probabilities; the prior if the labels had fewer than two values."""
        logs = np.full((features.shape[0], len(self.log_prior)), np.log(_LEAST))
        if self._regression is None:
            logs[:] = self.log_prior
        else:
            logs[:, self._regression.classes_] = np.log(self._regression.predict_proba(features).clip(min=_LEAST))
        return logs


def log_prior(labels: Int[np.ndarray, " N"], classes: int) -> Float[np.ndarray, " C"]:
    """Log of each value's share of the labels (−1: none), with one listing of each value added (Laplace)."""
    counts = np.bincount(labels[labels >= 0], minlength=classes) + 1
    return np.asarray(np.log(counts / counts.sum()))


def title_vectorizer() -> TfidfVectorizer:
    """TF-IDF of tokens and of pairs of neighbouring tokens."""
    return TfidfVectorizer(analyzer=_tokens_and_pairs, sublinear_tf=True)


def _tokens_and_pairs(tokens: Int[np.ndarray, " T"]) -> list[tuple[int, ...]]:
    """The terms of one title; token 0 is padding."""
    words = [int(token) for token in tokens if token]
    return [*((word,) for word in words), *pairwise(words)]
