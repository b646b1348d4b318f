import json
import pickle
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch

from models.engines.torch_engine import TorchEngine
from models.lifecycle.card import CARD, WEIGHTS, OutdatedModel, read_card, write_card
from models.lifecycle.weights import load_network, save_weights
from models.training.presets import Preset
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy
from tests.models.tiny import TAXONOMY, examples, model_folder, tiny_network


def test_a_saved_network_answers_as_before(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, replace(preset, seed=7))
    network = tiny_network(card.preset)
    network.heads[0][0].weight.data += 1.0
    card = replace(card, weights=save_weights(network, tmp_path))
    loaded = load_network(tmp_path, card)
    assert not loaded.training
    listings = examples(6)
    given = listings.pictures, listings.tokens, listings.present
    before, after = TorchEngine(network)(*given), TorchEngine(loaded)(*given)
    for one, other in zip(before, after, strict=True):
        assert (one == other).all()
    features = [torch.from_numpy(part) for part in before[:2]]
    present = torch.from_numpy(listings.present)
    assert torch.equal(network.classify(*features, present).logits[0], loaded.classify(*features, present).logits[0])


def test_a_card_survives_json(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset, threshold=0.75)
    assert read_card(tmp_path) == card


def test_a_card_of_before_options_were_removed_is_read_if_they_were_off(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    stored = json.loads((tmp_path / CARD).read_text())
    stored["preset"] |= {"noise_tolerance": 0.0, "logit_adjustment": 0.0}
    (tmp_path / CARD).write_text(json.dumps(stored))
    assert read_card(tmp_path) == card
    stored["preset"]["noise_tolerance"] = 0.3
    (tmp_path / CARD).write_text(json.dumps(stored))
    with pytest.raises(UserError, match="noise_tolerance"):
        read_card(tmp_path)


def test_the_same_seed_builds_the_same_network(preset: Preset) -> None:
    first, second = (preset.build(TAXONOMY, load_pretrained=False).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = replace(preset, seed=1).build(TAXONOMY, load_pretrained=False).state_dict()
    assert not torch.equal(first["heads.0.0.weight"], other["heads.0.0.weight"])


def test_damaged_or_missing_weights_are_refused(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    path = tmp_path / WEIGHTS
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match=WEIGHTS):
        load_network(tmp_path, card)
    path.unlink()
    with pytest.raises(UserError, match=WEIGHTS):
        load_network(tmp_path, card)


def test_a_card_of_another_network_is_refused(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    taller = replace(preset, architecture=replace(preset.architecture, attention_layers=3))
    wider = Taxonomy.from_dict({"color": {"values": ["red", "green"]}, "pattern": {"values": ["plain", "striped"]}})
    for foreign in (replace(card, preset=taller), replace(card, taxonomy=wider)):
        with pytest.raises(UserError, match="does not fit"):
            load_network(tmp_path, foreign)


def test_a_folder_without_a_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no model"):
        read_card(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"preset": {}}'])
def test_a_damaged_card_is_named(damage: str, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(damage)
    with pytest.raises(UserError, match=CARD):
        read_card(tmp_path)


def test_a_model_of_before_is_told_from_a_damaged_one(preset: Preset, tmp_path: Path) -> None:
    model_folder(tmp_path, preset)
    card = json.loads((tmp_path / CARD).read_text())
    del card["format"]
    (tmp_path / CARD).write_text(json.dumps(card))
    with pytest.raises(OutdatedModel, match=r"format 1, this version reads 2.*none of the values.*`cma train`"):
        read_card(tmp_path)


def test_a_card_of_another_version_is_named(preset: Preset, tmp_path: Path) -> None:
    model_folder(tmp_path, preset)
    card = json.loads((tmp_path / CARD).read_text())
    for change in ({"more": 1}, {"taxonomy": {"Color!": {}}}, {"noise": {"rules": []}}):
        (tmp_path / CARD).write_text(json.dumps({**card, **change}))
        with pytest.raises(UserError, match=CARD):
            read_card(tmp_path)


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(preset: Preset, tmp_path: Path) -> None:
    card = model_folder(tmp_path, preset)
    pickled = pickle.dumps(Trap(tmp_path / "sprung"))
    (tmp_path / WEIGHTS).write_bytes(pickled)
    write_card(replace(card, weights=sha256(pickled).hexdigest()), tmp_path)
    with pytest.raises(UserError, match=WEIGHTS):
        load_network(tmp_path, read_card(tmp_path))
    assert not (tmp_path / "sprung").exists()
    pickle.loads(pickled)  # noqa: S301
    assert (tmp_path / "sprung").exists()  # the trap does work
