"""Hand-made features are computed once, and are the same numbers wherever they come from."""

from pathlib import Path

import numpy as np
import pytest

from models.training.teacher import stored_features
from models.training.teacher.picture_features import picture_features, scaled_down
from models.training.teacher.stored_features import PictureFeatures


def pictures(count: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 40, 24, 3), dtype=np.uint8)


def equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return list(one) == list(other) and all(np.array_equal(one[kind], other[kind]) for kind in one)


def test_stored_features_are_those_that_are_computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_features, "_CHUNK", 3)
    shown, plain = pictures(7), PictureFeatures()
    expected = plain(shown)
    exact = picture_features(shown)
    assert all(np.allclose(expected[kind], exact[kind], rtol=1e-3, atol=1e-4) for kind in exact)
    first = PictureFeatures(tmp_path, most_bytes=1_000_000)(shown)
    computed: list[int] = []

    def counting(given: np.ndarray) -> dict[str, np.ndarray]:
        computed.append(len(given))
        return picture_features(given)

    monkeypatch.setattr(stored_features, "picture_features", counting)
    more = np.concatenate([shown[::-1], pictures(2, seed=1), shown[:1]])
    second = PictureFeatures(tmp_path, most_bytes=1_000_000)(more)
    assert equal(first, expected) and equal({kind: rows[:7][::-1] for kind, rows in second.items()}, expected)
    assert sum(computed) == 1 + 2  # one tells the widths
    small = PictureFeatures(tmp_path / "small", most_bytes=25_000)(more)  # room for some
    assert equal(small, second)


def test_large_pictures_are_scaled_down_to_as_many_pixels() -> None:
    small = np.zeros((192, 128, 3), dtype=np.uint8)
    assert scaled_down(small) is small
    sizes = [scaled_down(np.full((*size, 3), 7, dtype=np.uint8)).shape for size in ((288, 192), (224, 152), (224, 224))]
    assert sizes == [(192, 128, 3), (190, 129, 3), (157, 157, 3)]
    assert (scaled_down(np.full((288, 192, 3), 7, dtype=np.uint8)) == 7).all()
