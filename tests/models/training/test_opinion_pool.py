from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from models.engines.features import classify, encode, rounded
from models.engines.interface import Predictions
from models.engines.torch_engine import TorchEngine
from models.network.cma_clip import CmaClip
from models.training.presets import Preset
from models.training.teacher.opinion_pool import fit_pool, pooling_weights
from tests.models.tiny import examples, tiny_network

HEADS_ALONE = [[1.0, 0.0, 0.0]] * 2


@pytest.fixture
def network(preset: Preset) -> CmaClip:
    return tiny_network(preset)


def predictions(network: CmaClip, count: int = 6) -> Predictions:
    given = examples(count)
    return classify(network, encode(TorchEngine(network), given), given.present)


def test_heads_alone_unless_a_pool_was_fitted(network: CmaClip) -> None:
    given = examples(6)
    features = rounded(encode(TorchEngine(network), given))
    present = torch.from_numpy(given.present)
    with torch.inference_mode():
        heads = network.classify(torch.from_numpy(features.image_out), torch.from_numpy(features.title_out), present)
    assert network.pool.tolist() == HEADS_ALONE
    for pooled, head in zip(predictions(network).logits, heads.logits, strict=True):
        np.testing.assert_allclose(pooled, head.numpy(), rtol=1e-5, atol=1e-6)


def test_a_pool_by_hand(network: CmaClip) -> None:
    """The first listing of the examples has no picture, the second no title."""
    before = predictions(network)
    network.pool.copy_(torch.tensor([[0.5, 2.0, 0.25], [1.0, 0.0, 0.0]]))
    after = predictions(network)
    head, image, title = before.logits[0], before.image_logits[0], before.title_logits[0]
    image, title = 2.0 * log_softmax(image, axis=1), 0.25 * log_softmax(title, axis=1)
    image[0], title[1] = 0, 0
    np.testing.assert_allclose(after.logits[0], 0.5 * head + image + title, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(after.logits[1], before.logits[1])
    np.testing.assert_array_equal(after.image_weight, before.image_weight)


def test_a_probe_that_predicts_the_labels_gets_weight(network: CmaClip) -> None:
    """Labels that only the title's probe knows, of the first task; of the second nothing is labelled."""
    network.title_probes[0].weight.data *= 20
    given = examples(60)
    titles = classify(network, encode(TorchEngine(network), given), given.present).title_logits[0]
    labels = np.stack([titles.argmax(axis=1), np.full(60, -1)], axis=1)
    fit_pool(network, replace(given, labels=labels), swapped=0.0)
    weights = network.pool.numpy()
    assert weights[0, 2] == 5.0 and (weights >= 0).all()
    assert weights[1].tolist() == [1.0, 0.0, 0.0]
    fit_pool(network, replace(given, labels=labels), swapped=0.5)  # a quarter of the titles is another listing's
    assert 0 < network.pool[0, 2] < 5.0


@pytest.mark.parametrize("column", [0, 1])
def test_listings_that_all_lack_a_modality(network: CmaClip, column: int) -> None:
    given = examples(30)
    given.present[:] = True
    given.present[:, column] = False
    fit_pool(network, given, swapped=0.2)
    assert network.pool[:, 1 + column].tolist() == [0.0, 0.0]  # nothing to be learned of it: as it started


def test_counts_weigh_the_listings() -> None:
    random = np.random.default_rng(0)
    evidence, labels = random.normal(size=(2, 400, 3)), random.integers(0, 3, 400)
    counts = np.repeat([1.0, 2.0], 200)
    twice = np.r_[np.arange(400), np.arange(200, 400)]
    np.testing.assert_allclose(
        pooling_weights(evidence, labels, counts=counts), pooling_weights(evidence[:, twice], labels[twice]), atol=1e-3
    )


def test_the_source_that_is_right_gets_the_weight() -> None:
    labels = np.array([0, 1, 2] * 20)
    knows = np.log(np.where(np.eye(3)[labels] > 0, 0.8, 0.1))
    says_nothing = np.log(np.random.default_rng(0).dirichlet(np.ones(3), len(labels)))
    weights = pooling_weights(np.stack([knows, says_nothing]), labels)
    assert weights[0] > 2 and abs(weights[1]) < 0.5
    assert pooling_weights(np.zeros((2, 0, 3)), np.array([], dtype=int)).tolist() == [1.0, 1.0]
