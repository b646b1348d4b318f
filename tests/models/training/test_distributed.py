"""Two gloo processes take the very steps that one takes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.training.launch import train_together
from models.training.presets import Preset
from models.training.train import History, train
from schemas.errors import UserError
from tests.models.tiny import TAXONOMY, examples, tiny_network

CPU = torch.device("cpu")


@pytest.fixture
def four_chunks(preset: Preset) -> Preset:
    """A batch of four micro-batches, with losses that compare listings of a micro-batch, and an average."""
    stages = tuple(replace(stage, epochs=2, learning_rate=1e-3) for stage in preset.stages)
    return replace(
        preset,
        stages=stages,
        batch=12,
        micro_batch=3,
        contrastive_weight=0.1,
        swapped=0.3,
        matching_weight=0.1,
        ema=0.9,
    )


def alone(preset: Preset, folder: Path) -> History:
    folder.mkdir()
    return train(tiny_network(preset), preset, examples(24), examples(9, seed=1), folder=folder, device=CPU)


def same_curves(one: History, two: History) -> None:
    for stage, losses in one.loss.items():
        assert len(losses) == 4
        assert two.loss[stage] == pytest.approx(losses, rel=1e-4)
        assert two.accuracy[stage] == one.accuracy[stage]


def test_two_processes_by_torchrun(four_chunks: Preset, tmp_path: Path) -> None:
    together = tmp_path / "together"
    listings = examples(24), examples(9, seed=1)
    together.mkdir()
    train_together(tiny_network(four_chunks), four_chunks, *listings, TAXONOMY, folder=together, processes=2)
    finished = train(tiny_network(four_chunks), four_chunks, *listings, folder=together, device=CPU)
    same_curves(alone(four_chunks, tmp_path / "alone"), finished)
    assert json.loads((together / "plan.json").read_text())["preset"]["batch"] == 12


def test_a_process_that_fails_is_heard(four_chunks: Preset, tmp_path: Path) -> None:
    broken = replace(examples(24), labels=np.full((24, 2), 99))  # no such class
    with pytest.raises(UserError, match=r"training in 2 processes failed:(.|\n)*out of bounds"):
        train_together(tiny_network(four_chunks), four_chunks, broken, broken, TAXONOMY, folder=tmp_path, processes=2)
