from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.engines.features import classify, encode, packed, rounded, unpacked
from models.engines.interface import EngineIdentity, Features, Predictions
from models.engines.torch_engine import TorchEngine
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.weights import encoder_key, load_network, save_weights
from models.training.presets import Preset
from tests.models.tiny import examples, model_folder, tiny_network

CPU = EngineIdentity("openvino", "2026.4", "a processor", "bf16")


def bits(features: Features) -> list[bytes]:
    return [part.tobytes() for part in features]


def numbers(said: Predictions) -> np.ndarray:
    columns = [*said.logits, said.image_weight, *said.image_logits, *said.title_logits]
    return np.concatenate([*columns, said.similarity[:, None], said.match[:, None]], axis=1)


@given(arrays(np.float32, (4, 3, 5), elements=st.floats(width=32)))
def test_what_is_kept_comes_back_to_the_last_bit(given_numbers: np.ndarray) -> None:
    once = rounded(Features(*given_numbers))
    assert bits(unpacked(packed(once))) == bits(once)
    series = packed(Features(*given_numbers))
    assert bits(unpacked(series)) == bits(once)
    assert series.bin.size().to_list() == [2 * 4 * 5] * 3


def test_rounding_is_to_bf16() -> None:
    one = np.array([[1.0, 1.00390625, 1.005, -3.14159]], dtype=np.float32)
    assert rounded(Features(one, one, one, one)).image_out.tolist() == [[1.0, 1.0, 1.0078125, -3.140625]]


def test_a_listings_numbers_are_the_same_bits_in_any_company(preset: Preset) -> None:
    """1,100 listings are three blocks of heads; the order, and who else is there, change nothing."""
    network, listings = tiny_network(preset), examples(1100)
    features = encode(TorchEngine(network), listings)
    whole = numbers(classify(network, features, listings.present))
    order = np.random.default_rng(1).permutation(1100)
    shuffled = Features(*(part[order] for part in features))
    np.testing.assert_array_equal(numbers(classify(network, shuffled, listings.present[order])), whole[order])
    few = Features(*(part[700:703] for part in features))
    np.testing.assert_array_equal(numbers(classify(network, few, listings.present[700:703])), whole[700:703])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        np.testing.assert_array_equal(numbers(classify(network, features, listings.present)), whole)
    finally:
        torch.set_num_threads(threads)


def test_no_listings_no_numbers(preset: Preset) -> None:
    network, none = tiny_network(preset), np.zeros((0, 16), np.float32)
    assert numbers(classify(network, Features(none, none, none, none), np.zeros((0, 2), bool))).shape[0] == 0


@pytest.fixture
def card(preset: Preset, tmp_path: Path) -> ModelCard:
    return model_folder(tmp_path, preset)


def key_with(folder: Path, card: ModelCard, name: str) -> str:
    """After the weights of this name have moved."""
    network = load_network(folder, card)
    network.get_parameter(name).data += 1
    save_weights(network, folder)
    return encoder_key(folder, card, CPU)


@pytest.mark.parametrize("name", ["heads.0.0.weight", "modality_attentions.1.w", "title_probes.0.bias"])
def test_what_reads_features_does_not_change_their_name(card: ModelCard, tmp_path: Path, name: str) -> None:
    before = encoder_key(tmp_path, card, CPU)
    other_rules = replace(card, version="another", noise=replace(card.noise, thresholds={}), certificates=None)
    assert encoder_key(tmp_path, other_rules, CPU) == before
    assert key_with(tmp_path, card, name) == before


@pytest.mark.parametrize("name", ["backbone.text.positional_embedding", "sequence_attention.norm.bias"])
def test_what_makes_features_does(card: ModelCard, tmp_path: Path, name: str) -> None:
    before = encoder_key(tmp_path, card, CPU)
    assert key_with(tmp_path, card, name) != before


def test_so_do_engine_pixels_and_normalisation(card: ModelCard, tmp_path: Path) -> None:
    write_card(card, tmp_path)
    others = [
        encoder_key(tmp_path, card, CPU),
        encoder_key(tmp_path, card, replace(CPU, precision="f32")),
        encoder_key(tmp_path, replace(card, image_size=(64, 64)), CPU),
        encoder_key(tmp_path, replace(card, preset=replace(card.preset, pretrained="openai")), CPU),
    ]
    assert len(set(others)) == len(others)
