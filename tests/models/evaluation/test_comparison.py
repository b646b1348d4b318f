"""When a new model may take the champion's place, on answers made for the purpose."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.evaluation import comparison
from models.evaluation.comparison import Answers, Comparison, compare, p_worse


def answers(
    right: list[int] | np.ndarray,
    confidence: list[float] | np.ndarray | None = None,
    inside: list[int] | None = None,
) -> Answers:
    given_right = np.asarray(right, dtype=bool)
    return Answers(
        np.linspace(0.99, 0.5, len(given_right)) if confidence is None else np.asarray(confidence),
        given_right,
        inside=np.ones_like(given_right) if inside is None else np.asarray(inside, dtype=bool),
    )


def held(
    champion: dict[str, Answers],
    candidate: dict[str, Answers],
    *,
    labelled: dict[str, np.ndarray] | None = None,
    products: np.ndarray | None = None,
    margin: float = 0.02,
) -> Comparison:
    listings = len(next(iter(champion.values())).right)
    return compare(
        champion,
        candidate,
        labelled=labelled or {name: np.ones(listings, dtype=bool) for name in champion},
        products=np.arange(listings) if products is None else products,
        target_precision=0.9,
        confidence=0.95,
        margin=margin,
    )


@pytest.mark.parametrize(
    ("only_champion", "only_candidate", "expected"),
    [(0, 0, 1.0), (5, 0, 1 / 32), (0, 5, 1.0), (3, 1, 5 / 16), (1, 3, 15 / 16)],
)
def test_mcnemar_counts_coin_tosses(only_champion: int, only_candidate: int, expected: float) -> None:
    assert p_worse(only_champion, only_candidate) == pytest.approx(expected)


def test_a_model_is_not_worse_than_itself() -> None:
    same = {"color": answers([1, 1, 0, 1]), "style": answers([1, 0, 0, 0])}
    found = held(same, same, margin=0.0)
    assert (found.accuracy.mean, found.accuracy.lowest) == (found.recall.mean, found.recall.lowest) == (0.0, 0.0)
    assert found.objections == []


def test_a_model_that_is_sure_of_listings_outside_the_taxonomy_is_worse() -> None:
    inside = [1] * 30 + [0] * 30
    champion = {"color": answers([1] * 30 + [0] * 30, inside=inside)}
    candidate = {"color": answers([1] * 30 + [0] * 30, np.linspace(0.5, 0.99, 60), inside=inside)}
    found = held(champion, candidate)
    color = found.attributes["color"]
    assert (color.listings, color.champion_accuracy, color.candidate_accuracy) == (60, 1.0, 1.0)
    assert (color.champion_recall, color.candidate_recall, color.p_worse) == (1.0, 0.0, 1.0)
    assert "recall at 90% precision may be" in found.objections[0]


def test_differences_are_candidate_minus_champion_over_labelled_listings() -> None:
    champion = {"color": answers([1, 1, 1, 0, 1]), "style": answers([1, 0, 0, 1, 0])}
    candidate = {"color": answers([1, 0, 1, 1, 0]), "style": answers([1, 1, 0, 1, 1])}
    labelled = {"color": np.array([1, 1, 1, 1, 0], dtype=bool), "style": np.array([1, 1, 0, 1, 0], dtype=bool)}
    found = held(champion, candidate, labelled=labelled)
    color, style = found.attributes["color"], found.attributes["style"]
    assert (color.listings, color.champion_accuracy, color.candidate_accuracy) == (4, 0.75, 0.75)
    assert (color.only_champion, color.only_candidate) == (1, 1)
    assert (color.champion_recall, color.candidate_recall) == (0.75, 0.25)  # 3 of 3, and 1 of 1
    assert (style.listings, style.only_champion, style.only_candidate) == (3, 0, 1)
    assert found.accuracy.mean == pytest.approx((0 + 1 / 3) / 2)
    assert found.recall.mean == pytest.approx((-0.5 + 2 / 3) / 2)


def test_recall_is_compared_where_accuracy_is_equal() -> None:
    """The same answers are right, but the candidate is as sure of its wrong ones as of any."""
    right = np.tile([1, 1, 1, 1, 0], 100)
    found = held({"color": answers(right, np.where(right, 0.9, 0.2))}, {"color": answers(right, np.full(500, 0.9))})
    assert found.accuracy.mean == found.accuracy.lowest == 0.0
    assert found.recall.mean == -0.8
    (objection,) = found.objections
    assert objection.startswith("recall at 90% precision may be 8")


def test_one_attribute_that_is_worse_is_not_made_up_for_by_another() -> None:
    champion = {"color": answers([0] * 20 + [1] * 980), "style": answers([1] * 1000)}
    candidate = {"color": answers([1] * 1000), "style": answers([1] * 992 + [0] * 8)}
    found = held(champion, candidate)
    assert found.accuracy.mean > 0
    assert found.objections == [
        "style is worse: 8 listings only the champion tags right, 0 only the new model (p 0.004)"
    ]


def test_listings_of_one_product_are_one_observation() -> None:
    """A hundred pictures of two products say no more than two listings do."""
    rng = np.random.default_rng(1)
    right = rng.random(200) < 0.5
    apart = held({"color": answers(right)}, {"color": answers(~right)})
    together = held({"color": answers([1, 0] * 100)}, {"color": answers([0, 1] * 100)}, products=np.tile([0, 1], 100))
    assert apart.products == 200
    assert together.products == 2
    assert -0.3 < apart.accuracy.lowest < 0
    assert together.accuracy.lowest == -1.0


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_exchanging_the_models_turns_the_signs(seed: int, listings: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = ({"color": answers(rng.random(listings) < 0.7, rng.random(listings))} for _ in range(2))
    products = rng.integers(0, 10, listings)
    found, back = held(one, other, products=products), held(other, one, products=products)
    assert found.accuracy.mean == -back.accuracy.mean
    assert found.recall.mean == -back.recall.mean
    a, b = found.attributes["color"], back.attributes["color"]
    assert (a.only_champion, a.only_candidate) == (b.only_candidate, b.only_champion)
    shared = listings * a.champion_accuracy - a.only_champion
    assert shared == pytest.approx(listings * a.candidate_accuracy - a.only_candidate)
    assert found.accuracy.lowest <= -back.accuracy.lowest


def test_a_candidate_that_is_worse_by_the_margin_seldom_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On no more than 5 % of held-out sets, but for luck; one that is as good passes."""
    monkeypatch.setattr(comparison, "RESAMPLES", 300)
    rng = np.random.default_rng(5)

    def passes(loss: float) -> float:
        passed = 0
        for _ in range(150):
            luck = rng.random(600)
            swaps = rng.random(600) < 0.05  # answers that differ for no reason
            champion, candidate = luck < 0.85, np.where(swaps, rng.random(600), luck) < 0.85 - loss
            found = held({"color": answers(champion)}, {"color": answers(candidate)}, margin=0.02)
            passed += found.accuracy.lowest >= -0.02
        return passed / 150

    assert passes(0.02) <= 0.095  # 5 % and two and a half standard errors
    assert passes(0.0) >= 0.9
