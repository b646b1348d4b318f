from dataclasses import replace
from pathlib import Path

import pytest

from models.engines.interface import EngineIdentity
from models.lifecycle.model import Model
from models.rules import identity
from models.rules.identity import rules_id
from models.rules.noise.rules import NoiseRules
from models.training.presets import Preset
from tests.models.tiny import model_folder

ENGINE = EngineIdentity("openvino", "2026.4", "a processor", "bf16")
NOISE = NoiseRules([1.0], [1.0], [[0.5, 0.5]], [0.0], {"label_conflict": 0.3}, {})


def test_everything_that_rules_consist_of_changes_their_id(monkeypatch: pytest.MonkeyPatch) -> None:
    first = rules_id("v1", "weights", ENGINE, NOISE, "certificate")
    others = [
        rules_id("v2", "weights", ENGINE, NOISE, "certificate"),
        rules_id("v1", "others", ENGINE, NOISE, "certificate"),
        rules_id("v1", "weights", replace(ENGINE, precision="float32"), NOISE, "certificate"),
        rules_id("v1", "weights", ENGINE, replace(NOISE, thresholds={"label_conflict": 0.4}), "certificate"),
        rules_id("v1", "weights", ENGINE, NOISE, "another"),
    ]
    assert rules_id("v1", "weights", ENGINE, NOISE, "certificate") == first
    monkeypatch.setattr(identity, "RULES", identity.RULES + 1)
    others.append(rules_id("v1", "weights", ENGINE, NOISE, "certificate"))
    assert len({first, *others}) == 7


def test_a_model_that_is_opened_again_has_the_same_rules(preset: Preset, tmp_path: Path) -> None:
    model_folder(tmp_path, preset)
    ids = [Model.open(tmp_path).rules_id("torch", "certificate") for _ in range(2)]
    assert ids[0] == ids[1] != Model.open(tmp_path).rules_id("torch", "another")
