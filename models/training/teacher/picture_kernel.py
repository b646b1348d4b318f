"""Pictures for logistic regression: hand-made features, standardised, under an approximate Gaussian kernel."""

import numpy as np
from jaxtyping import Float, UInt8
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import Nystroem
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.training.teacher.stored_features import PictureFeatures

_MOST_COMPONENTS = 150  # PCA components of each kind of feature
_LANDMARKS = 2500  # pictures that every picture is compared with
_MIXED_UNITS = ("textures", "statistics")


class PictureKernel:
    """Maps pictures to vectors whose products approximate a Gaussian kernel (Nyström, Williams and Seeger 2001)."""

    def __init__(self, *, seed: int, features: PictureFeatures | None = None) -> None:
        self._seed = seed
        self._features = features or PictureFeatures()
        self._kinds: dict[str, tuple[Pipeline, float]] = {}
        self._kernel: Nystroem

    def fit_transform(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> Float[np.ndarray, "N F"]:
        """Fits PCA and landmarks to N ≥ 1 pictures, and returns their vectors."""
        features = self._features(pictures)
        for kind, numbers in features.items():
            scale = StandardScaler() if kind in _MIXED_UNITS else "passthrough"
            components = min(_MOST_COMPONENTS, *numbers.shape)
            reduction = make_pipeline(scale, PCA(components, svd_solver="randomized", random_state=self._seed))
            with np.errstate(invalid="ignore"):  # PCA divides 0 by 0 if all pictures are alike
                spread = np.sqrt(np.square(reduction.fit_transform(numbers)).sum(axis=1).mean())
            self._kinds[kind] = reduction, max(float(spread), 1e-6)
        # Every kind has a variance of 1 now, so two pictures are a squared 2 × kinds apart on average.
        self._kernel = Nystroem(
            gamma=1 / (2 * len(features)), n_components=min(_LANDMARKS, len(pictures)), random_state=self._seed
        )
        return np.asarray(self._kernel.fit_transform(self._reduced(features)))

    def transform(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> Float[np.ndarray, "N F"]:
        return np.asarray(self._kernel.transform(self._reduced(self._features(pictures))))

    def _reduced(self, features: dict[str, Float[np.ndarray, "N _"]]) -> Float[np.ndarray, "N F"]:
        """The components of all kinds, concatenated."""
        parts = [reduction.transform(features[kind]) / spread for kind, (reduction, spread) in self._kinds.items()]
        return np.concatenate(parts, axis=1)
