"""New heads on the encoder of a model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from models.engines.interface import reference_identity
from models.lifecycle.fit_heads import with_heads_for
from models.lifecycle.model import Model
from models.lifecycle.weights import encoder_key, save_weights
from models.training.presets import Preset
from schemas.taxonomy import Taxonomy
from tests.models.tiny import model_folder

OTHER = Taxonomy.from_dict(
    {
        "style": {"values": ["coat", "dress", "skirt"]},
        "pattern": {"values": {"plain": ["solid"], "striped": []}},  # other words, the same values
        "color": {"values": ["red", "blue", "green"]},  # the same values in another order
    }
)


@pytest.fixture
def source(preset: Preset, tmp_path: Path) -> Model:
    model_folder(tmp_path, replace(preset, seed=3))
    return Model.open(tmp_path)


def test_attributes_with_the_same_values_keep_their_heads(source: Model) -> None:
    old, new = source.network, with_heads_for(source, OTHER)
    assert new.classes == OTHER.class_counts
    for part in ("heads", "modality_attentions", "image_probes", "title_probes"):
        before, after = getattr(old, part), getattr(new, part)
        assert all(torch.equal(a, b) for a, b in zip(before[1].parameters(), after[1].parameters(), strict=True))
        assert not torch.equal(next(before[0].parameters()), next(after[2].parameters()))


def test_the_features_of_the_source_are_valid(source: Model, tmp_path: Path) -> None:
    key = encoder_key(source.folder, source.card, reference_identity())
    other = tmp_path / "other"
    other.mkdir()
    card = replace(source.card, taxonomy=OTHER, weights=save_weights(with_heads_for(source, OTHER), other))
    assert card.weights != source.card.weights
    assert encoder_key(other, card, reference_identity()) == key
