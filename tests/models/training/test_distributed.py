"""Two gloo processes take the very steps that one takes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.training.launch import train_together
from models.training.presets import Preset
from models.training.train import History, train
from schemas.errors import UserError
from tests.models.tiny import TAXONOMY, examples, tiny_network
from tests.places import ROOT

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


def test_the_error_is_that_of_the_process_which_failed_first(four_chunks: Preset, tmp_path: Path) -> None:
    """Only rank 1 has a listing with a label of no class. Rank 0 fails after it, since its connection is closed."""
    seed = np.random.SeedSequence([four_chunks.seed, 0, 0, 0]).generate_state(1)[0]  # of the first epoch's order
    of_rank_1 = np.random.default_rng(seed).permutation(24)[3:6]  # the second micro-batch
    broken = examples(24)
    broken.labels[of_rank_1] = 99
    with pytest.raises(UserError) as error:
        train_together(tiny_network(four_chunks), four_chunks, broken, broken, TAXONOMY, folder=tmp_path, processes=2)
    first, *_, last = str(error.value).splitlines()
    assert first == "training in 2 processes failed: IndexError: Target 99 is out of bounds."
    assert last == "This was rank 1 of 2."


BATCH_NORM = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from safetensors.torch import save_file
rank, folder = int(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
from models.training.stage import StageRun
from tests.models.tiny import examples, tiny_network, tiny_preset
dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
preset = tiny_preset("cma-small", "small", micro_batch=4, ema=0.5)
pictures = next(stage for stage in preset.stages if stage.name == "pictures")
size = tiny_network(preset).backbone.image_size
listings, validation = (examples(count, seed=count, size=size, length=20) for count in (16, 9))
run = StageRun(
    network=tiny_network(preset), preset=preset, stage=pictures, examples=listings, validation=validation,
    folder=folder, device=torch.device("cpu"), save_seconds=60.0, cache_bytes=0,
)
state = run.run()
average = {f"average.{name}": tensor for name, tensor in state.average.items()}
save_file(average | {"scores": torch.tensor(state.scores)}, folder / f"{rank}.safetensors")
dist.destroy_process_group()
"""


def test_ranks_agree_on_averaged_statistics_of_batch_normalisation(tmp_path: Path) -> None:
    """Each rank normalises its own micro-batches, but all score and keep the same weights."""
    children = [
        subprocess.Popen([sys.executable, "-c", BATCH_NORM, str(rank), str(tmp_path)], cwd=ROOT) for rank in (0, 1)
    ]
    assert [child.wait() for child in children] == [0, 0]
    one, other = (load_file(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    statistics = [name for name in one if name.endswith(("running_mean", "running_var"))]
    assert statistics and one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-6, atol=1e-7, msg=name)
