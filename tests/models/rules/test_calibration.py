from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy.special import softmax

from models.rules.calibration import fit_temperature
from models.rules.certificates import Calibration, Certificate, Certificates, Promise

ENOUGH = Certificate(60, 0.8, 40, 39, 0.91, 0)
NOTHING = Certificate(60, None, 0, 0, None, 500)
TOO_FEW = Certificate(10, None, 0, 0, None, 19)


def calibration(
    thresholds: list[float | None], certificate: Certificate = ENOUGH, temperature: float = 1.0
) -> Calibration:
    return Calibration(temperature, 0.1, 0.05, certificate, {"red": NOTHING}, thresholds, [0.5, 0.75], 2)


CERTIFICATES = Certificates(
    Promise(),
    pooled={"color": calibration([0.7, 0.7]), "style": calibration([None, None], NOTHING)},
    feeds={
        "certified": {"color": calibration([0.8, 0.9], temperature=2.0)},
        "measured": {"color": calibration([None, None], NOTHING)},
        "hardly labelled": {"color": calibration([None, None], TOO_FEW)},
    },
)
FEEDS = np.array(["certified", "certified", "measured", "hardly labelled", "new", "new"])
SCORES = np.array([[0.85, 0.15], [0.15, 0.85], [0.99, 0.01], [0.99, 0.01], [0.3, 0.7], [0.6, 0.4]])


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 3
    chances = softmax(logits / temperature, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1).clip(max=3)
    labels[::7] = -1
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_without_labels_the_temperature_is_one() -> None:
    assert fit_temperature(np.ones((3, 2)), np.array([-1, -1, -1])) == 1.0


def test_probabilities_by_hand() -> None:
    """Each listing's by the temperature of its feed; a feed that has none has the pooled one. The third answer is none
    of the values."""
    logits = np.log([[9.0, 1.0, 16.0]] * 3).astype(np.float32)
    found = CERTIFICATES.probabilities("color", logits, np.array(["certified", "new", "certified"]))
    np.testing.assert_allclose(found, [[3 / 8, 1 / 8], [9 / 26, 1 / 26], [3 / 8, 1 / 8]], rtol=1e-6)


def test_tags_are_accepted_by_the_threshold_of_their_own_feed_and_value_alone() -> None:
    assert CERTIFICATES.accepted("color", SCORES, FEEDS).tolist() == [True, False, False, False, False, False]
    assert CERTIFICATES.certified("color", FEEDS).tolist() == [True, True, False, False, False, False]
    assert not CERTIFICATES.certified("style", FEEDS).any()
    assert CERTIFICATES.accepted("color", np.array([[0.8, 0.2]]), np.array(["certified"])).all()  # at the threshold


def test_provisional_is_what_a_feed_without_labels_enough_borrows() -> None:
    """A feed whose own labels say that nothing can be certified borrows nothing."""
    assert CERTIFICATES.provisional("color", SCORES, FEEDS).tolist() == [False, False, False, True, True, False]
    assert not CERTIFICATES.provisional("style", SCORES, FEEDS).any()


def test_no_listing_at_all() -> None:
    nobody = np.array([], dtype=object)
    assert CERTIFICATES.probabilities("color", np.zeros((0, 3)), nobody).shape == (0, 2)
    for found in (
        CERTIFICATES.accepted("color", np.zeros((0, 2)), nobody),
        CERTIFICATES.provisional("color", np.zeros((0, 2)), nobody),
        CERTIFICATES.certified("color", nobody),
    ):
        assert found.shape == (0,) and found.dtype == bool


def test_certificates_survive_json() -> None:
    as_json = TypeAdapter(Certificates)
    assert as_json.validate_json(as_json.dump_json(CERTIFICATES)) == CERTIFICATES


def test_an_id_changes_with_what_accepts_the_tags_of_its_feed_and_nothing_else() -> None:
    feeds = dict(CERTIFICATES.feeds)
    before = {feed: CERTIFICATES.id(feed) for feed in feeds}
    assert len({*before.values(), CERTIFICATES.pooled_id}) == 4
    assert CERTIFICATES.id("new") == CERTIFICATES.id("newer") == CERTIFICATES.pooled_id
    feeds["measured"] = {"color": calibration([0.9, 0.9])}
    after = Certificates(CERTIFICATES.promise, CERTIFICATES.pooled, feeds)
    assert [feed for feed in feeds if after.id(feed) != before[feed]] == ["measured"]
    assert after.pooled_id == CERTIFICATES.pooled_id
    other = replace(feeds["certified"]["color"], confidences=[0.1], compared=1)  # which drift is measured by
    compared = replace(CERTIFICATES, feeds={**CERTIFICATES.feeds, "certified": {"color": other}})
    assert all(compared.id(feed) == before[feed] for feed in feeds)
    stricter = Certificates(Promise(target_precision=0.95), CERTIFICATES.pooled, CERTIFICATES.feeds)
    assert all(stricter.id(feed) != before[feed] for feed in feeds)


def test_the_fewest_listings_that_can_keep_a_promise() -> None:
    assert Promise().fewest(0.05) == 29  # 0.9²⁹ = 0.047
    assert Promise().fewest(0.025) == 36
    assert Promise(target_precision=0.95).fewest(0.05) == 59
