"""Hand-made features of pictures, computed once for all classifiers, seeds and runs."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from models.training.saved.feature_rows import KEY_BYTES, FeatureRows
from models.training.teacher import picture_features as code
from models.training.teacher.picture_features import picture_features

_CHUNK = 256  # pictures that are written at once


class PictureFeatures:
    """`picture_features` in float16, by the hash of a picture, in `folder` (None: nowhere), up to `most_bytes`. A
    picture's numbers are the same when it is computed as when it is read."""

    def __init__(self, folder: Path | None = None, *, most_bytes: int = 0) -> None:
        self._folder, self._most = folder if most_bytes else None, most_bytes

    def __call__(self, pictures: UInt8[np.ndarray, "N H W 3"]) -> dict[str, Float[np.ndarray, "N _"]]:
        """The features of N ≥ 1 pictures by kind."""
        widths = {kind: array.shape[1] for kind, array in picture_features(pictures[:1]).items()}
        rows = self._open(sum(widths.values()))
        chunks = (pictures[start : start + _CHUNK] for start in range(0, len(pictures), _CHUNK))
        numbers = np.concatenate([_rounded(chunk, rows) for chunk in chunks]).astype(np.float32)
        ends = np.cumsum(list(widths.values()))[:-1]
        return dict(zip(widths, np.split(numbers, ends, axis=1), strict=True))

    def _open(self, width: int) -> FeatureRows | None:
        if self._folder is None:
            return None
        key = blake2b(Path(code.__file__).read_bytes(), digest_size=KEY_BYTES).hexdigest()
        return FeatureRows(self._folder / key, shape=(width,), most_bytes=self._most)


def _rounded(pictures: UInt8[np.ndarray, "N H W 3"], rows: FeatureRows | None) -> Float[np.ndarray, "N F"]:
    pictures = np.ascontiguousarray(pictures)
    if rows is None:
        return _computed(pictures, range(len(pictures)))
    keys = [blake2b(picture.data, digest_size=KEY_BYTES).digest() for picture in pictures]
    rows.add(keys, lambda places: _computed(pictures, places))
    stored = [place for place, key in enumerate(keys) if key in rows]
    missing = [place for place, key in enumerate(keys) if key not in rows]  # there was no room
    parts = [rows[[keys[place] for place in stored]]] if stored else []
    parts += [_computed(pictures, missing)] if missing else []
    return np.concatenate(parts)[np.argsort(stored + missing)]


def _computed(pictures: UInt8[np.ndarray, "N H W 3"], places: Sequence[int]) -> Float[np.ndarray, "M F"]:
    found = picture_features(pictures[list(places)])
    return np.concatenate(list(found.values()), axis=1).astype(np.float16)
