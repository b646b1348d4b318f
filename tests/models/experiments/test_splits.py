"""The listings of an ablation: which are compared, what their titles name, and their files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.experiments.splits import Splits, decoded, names_label, sizes, some_products
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from schemas.attribute import Attribute
from schemas.errors import UserError
from tests.models.tiny import CONTEXT, SIDE, TAXONOMY, jpeg

COUNT = 330


def listings() -> Listings:
    feeds = np.array(["seen", "unseen"] * (COUNT // 2))
    return Listings(
        titles=["red dress"] * COUNT,
        pictures=[jpeg() if feed == "seen" else None for feed in feeds],
        labels=np.zeros((COUNT, 2), dtype=np.int64),
        splits=np.repeat(["train", "validation", "test"], COUNT // 3),
        feeds=feeds,
        products=np.arange(COUNT).astype(str),
    )


def test_a_feed_without_pictures_is_not_measured_and_named() -> None:
    splits = Splits.of(listings())
    assert set(splits.test.feeds) == {"seen"} and splits.left_out == 55
    assert splits.unmeasured == ("unseen",)
    known = splits.compared(TAXONOMY)
    assert len(known) == 55 and known.present.all()
    assert known.named.tolist() == [[True, False]] * 55  # the pattern is not in the title
    assert known.inside.tolist() == [[True, True]] * 55
    few = replace(listings(), splits=np.repeat(["train", "validation", "test"], [200, 120, 10]))
    with pytest.raises(UserError, match="5 of the test split have both"):
        Splits.of(few)


def test_decoded_listings_are_read_back(backbone_name: str, tmp_path: Path) -> None:
    processor = Processor(backbone=backbone_name, image_size=(SIDE, SIDE), context_length=CONTEXT, trims_titles=True)
    splits = Splits.of(listings())
    splits.decode(processor, tmp_path, threads=1)
    for part, read in zip((splits.train, splits.validation, splits.test), decoded(tmp_path), strict=True):
        made = part.decoded(processor, threads=1)
        assert isinstance(read.pictures, np.memmap)
        assert all(np.array_equal(array, read.arrays()[name]) for name, array in made.arrays().items())
    assert read.take(np.ones(len(read), dtype=bool)) is read  # nothing is copied into memory


def test_the_hash_changes_with_every_part_of_a_listing() -> None:
    whole = listings()
    other_label, other_split = whole.labels.copy(), whole.splits.copy()
    other_label[4, 0], other_split[0] = 1, "validation"
    changed = [
        replace(whole, titles=["blue", *whole.titles[1:]]),
        replace(whole, pictures=[jpeg((0, 0, 9)), *whole.pictures[1:]]),
        replace(whole, labels=other_label),
        replace(whole, splits=other_split),
        replace(whole, products=np.arange(1, COUNT + 1).astype(str)),
    ]
    hashes = [Splits.of(each).hash for each in (whole, *changed)]
    assert len(set(hashes)) == 6 and Splits.of(listings()).hash == hashes[0]


@pytest.mark.parametrize(
    ("title", "value", "named"),
    [
        ("A RED dress", "red", True),
        ("predictable dress", "red", False),
        ("reddish", "red", False),
        ("off-white, size M", "off white", False),
        ("Dress in Off  White", "off white", True),
        ("ivory top", "off white", True),
        ("ivory top", "red", False),
        ("red ivory", None, False),
        ("c++ hoodie", "c++", True),
    ],
)
def test_a_title_names_a_value_by_one_of_its_words(title: str, value: str | None, named: bool) -> None:
    attribute = Attribute(name="color", prompt="{}", values={"red": (), "off white": ("Ivory",), "c++": ()})
    label = -1 if value is None else attribute.value_names.index(value)
    assert names_label([title], np.array([label]), attribute).tolist() == [named]
    assert names_label([title], np.array([3]), attribute).tolist() == [False]  # none of these values


@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 2))
def test_a_smaller_draw_of_products_is_part_of_each_larger_one(
    products: list[int], few: int, many: int, seed: int
) -> None:
    few, many = sorted((few, many))
    names = np.array(products)
    drawn, more = (some_products(names, count, seed=seed) for count in (few, many))
    assert len(drawn) == min(few, len(names)) and set(drawn) <= set(more)
    cut = {product for product in names[drawn] if not np.isin(np.flatnonzero(names == product), drawn).all()}
    assert len(cut) <= 1  # all listings of a product, but of the last one


def test_validation_is_cut_in_proportion() -> None:
    assert sizes(500, 7000, 958) == (500, 68)
    assert sizes(100, 7000, 958) == (100, 50)
    assert sizes(9000, 7000, 958) == (7000, 958)


def test_each_feed_has_a_cap() -> None:
    whole = listings()
    whole = replace(whole, pictures=[jpeg()] * COUNT, splits=np.repeat(["train", "validation", "test"], [150, 110, 70]))
    capped = Splits.of(whole, most_per_feed=60)
    counts = {feed: (capped.train.feeds == feed).sum() for feed in ("seen", "unseen")}
    assert counts == {"seen": 60, "unseen": 60}
    assert len(capped.validation.titles) == 100 and len(capped.test.titles) == 70  # at least 50 of each feed
    assert Splits.of(whole, most_per_feed=75).hash == Splits.of(whole).hash != capped.hash
