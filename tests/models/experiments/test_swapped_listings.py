"""Test listings that are shown under another product's title or picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.experiments.swapped_listings import CONDITIONS, swapped_rows, under_condition
from schemas.errors import UserError
from tests.models.experiments.outcomes_of_variants import complete


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 12)), min_size=1, max_size=60),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.integers(0, 3),
)
def test_swaps_conserve_titles_and_leave_none_in_place(
    listings: list[tuple[str, int]], share: float, seed: int
) -> None:
    feeds = np.array([feed for feed, _ in listings])
    products = np.array([f"{feed}/{product}" for feed, product in listings])
    try:
        rows = swapped_rows(products, feeds, share=share, seed=seed)
    except UserError as error:
        assert "too few products" in str(error)
        return
    moved = rows != np.arange(len(rows))
    assert sorted(rows) == list(range(len(rows)))
    assert (feeds[rows] == feeds).all()
    assert (products[rows][moved] != products[moved]).all()
    for feed in np.unique(feeds):
        assert moved[feeds == feed].sum() == round(share * (feeds == feed).sum())


def test_one_product_cannot_be_swapped_with_itself() -> None:
    with pytest.raises(UserError, match="feed a has too few products among its 10"):
        swapped_rows(np.array(["a/1"] * 10), np.array(["a"] * 10), share=0.3, seed=0)


def test_swapped_listings_are_shown_under_anothers_title_or_picture() -> None:
    whole = complete(20, 0)
    (clean, none), (titles, moved), (pictures, also_moved) = (under_condition(whole, of, seed=1) for of in CONDITIONS)
    assert clean is whole and not none.any()
    assert moved.sum() == 6 and (moved == also_moved).all()
    assert (titles.tokens == whole.tokens).all(axis=1).tolist() == (~moved).tolist()
    assert sorted(map(bytes, titles.tokens)) == sorted(map(bytes, whole.tokens))
    assert titles.pictures is whole.pictures and titles.labels is whole.labels
    assert (pictures.pictures == whole.pictures).all(axis=(1, 2, 3)).tolist() == (~moved).tolist()
    assert pictures.tokens is whole.tokens and pictures.labels is whole.labels
    assert (under_condition(whole, "swapped titles", seed=2).swapped != moved).any()
