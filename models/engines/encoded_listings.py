"""Labelled listings by their features, for what needs neither pictures nor the encoder."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int64, Shaped

from models.engines.interface import Features
from models.inputs.arrays import ListingArrays


@dataclass(frozen=True)
class EncodedListings(ListingArrays):
    """N listings: the arrays of `Features`; all else as in `models.inputs.examples.Examples`."""

    image_out: Float32[np.ndarray, "N D"]
    title_out: Float32[np.ndarray, "N D"]
    image_embedding: Float32[np.ndarray, "N D"]
    title_embedding: Float32[np.ndarray, "N D"]
    present: Bool[np.ndarray, "N 2"]
    labels: Int64[np.ndarray, "N K"]
    feeds: Shaped[np.ndarray, " N"]
    products: Shaped[np.ndarray, " N"]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def features(self) -> Features:
        return Features(self.image_out, self.title_out, self.image_embedding, self.title_embedding)
