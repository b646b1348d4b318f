from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.inputs.examples import Examples
from models.inputs.splits import Split, split_of, splits_of
from tests.models.tiny import examples


@pytest.mark.parametrize(
    ("feed", "product", "split"),
    [
        ("hm", "1", "train"),
        ("hm", "10", "test"),
        ("hm", "17", "validation"),
        ("hm", "19", "calibration"),
        ("shop", "1", "test"),
        ("shop", "", "train"),
    ],
)
def test_splits_stay_what_they_are_across_releases(feed: str, product: str, split: Split) -> None:
    """A product that moved would let a new model be judged on what an old one has learned."""
    assert split_of(feed, product) == split


def test_shares() -> None:
    counts = Counter(split_of("hm", str(product)) for product in range(20_000))
    assert counts.keys() == {"train", "validation", "calibration", "test"}
    for split, share in {"train": 0.7, "validation": 0.1, "calibration": 0.1, "test": 0.1}.items():
        assert abs(counts[split] / 20_000 - share) < 0.01


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5))))
def test_a_product_never_straddles_splits(listings: list[tuple[str, str]]) -> None:
    feeds, products = [feed for feed, _ in listings], [product for _, product in listings]
    splits = splits_of(feeds * 2, products * 2)
    assert splits.tolist() == [split_of(feed, product) for feed, product in listings] * 2


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    listings = examples(5)
    taught = replace(listings, soft_targets=np.random.default_rng(0).random((5, 3, 4), dtype=np.float32))
    for number, each in enumerate((listings, taught.take(np.array([4, 1])))):
        each.save(tmp_path / str(number))
        again = Examples.load(tmp_path / str(number))
        assert (again.soft_targets is None) == (each.soft_targets is None)
        for field in fields(each):
            assert np.array_equal(getattr(again, field.name), getattr(each, field.name))


def test_take() -> None:
    listings = examples(5)
    some = listings.take(np.array([3, 0]))
    assert len(some) == 2
    assert some.labels.tolist() == listings.labels[[3, 0]].tolist()
    assert len(listings.take(listings.present.all(axis=1))) == 3
