"""A training that was killed anywhere ends as if it had not been."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.training.presets import Preset
from models.training.saved.tower_cache import FrozenOutputs
from models.training.train import History, Progress, train
from schemas.errors import UserError
from tests.models.tiny import clip_folder, examples, tiny_network, tiny_preset
from tests.places import ROOT

CPU = torch.device("cpu")


def everything(backbone: str) -> Preset:
    """`small` with all that draws lots, and several epochs; 3 steps an epoch."""
    preset = tiny_preset(backbone, "small", ema=0.9, mixup=0.5, swapped=0.4, matching_weight=0.1)
    shape = replace(preset.architecture, dropout=0.2)
    return replace(
        preset, architecture=shape, stages=tuple(replace(s, epochs=2, title_dropout=0.1) for s in preset.stages)
    )


def run(preset: Preset, folder: Path, *, stop_after: int | None = None, **options: object) -> History:
    """Saves at every step; after `stop_after` steps the run is torn away in mid-step."""
    folder.mkdir(exist_ok=True)
    steps = 0

    def count(progress: Progress) -> None:
        nonlocal steps
        steps += 1
        if steps == stop_after:
            raise KeyboardInterrupt

    options = {"save_seconds": 0.0} | options
    return train(
        tiny_network(preset),
        preset,
        examples(24),
        examples(9, seed=1),
        folder=folder,
        device=CPU,
        progress=count,
        **options,
    )


def final(folder: Path) -> dict[str, list[object]]:
    return {name: tensor.tolist() for name, tensor in load_file(folder / "tuning.safetensors").items()}


def test_a_run_interrupted_at_any_step_ends_like_a_whole_one(backbone_name: str, tmp_path: Path) -> None:
    preset = everything(backbone_name)
    whole = run(preset, tmp_path / "whole")
    interruptions = 0
    for step in (1, 4, 1, 2, 3, 1):  # after each resumption; together they fall into every stage
        with pytest.raises(KeyboardInterrupt):
            run(preset, tmp_path / "torn", stop_after=step + 1)
        interruptions += 1
    again = run(preset, tmp_path / "torn")
    assert interruptions == 6 and again == whole
    assert final(tmp_path / "torn") == final(tmp_path / "whole")
    assert {path.name for path in (tmp_path / "torn").iterdir()} == {f"{s.name}.safetensors" for s in preset.stages}


def test_a_finished_training_is_not_repeated(backbone_name: str, tmp_path: Path) -> None:
    preset = everything(backbone_name)
    assert run(preset, tmp_path) == run(preset, tmp_path, stop_after=1)


def test_a_damaged_partial_state_costs_the_stage_and_nothing_else(backbone_name: str, tmp_path: Path) -> None:
    preset = everything(backbone_name)
    whole = run(preset, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(preset, tmp_path / "torn", stop_after=3)
    (partial,) = (tmp_path / "torn").glob("*.partial.safetensors")
    partial.write_bytes(partial.read_bytes()[:-50])
    assert run(preset, tmp_path / "torn") == whole


CHILD = """
import json, sys
from pathlib import Path
import torch
sys.path.insert(0, sys.argv[1])
torch.set_num_threads(1)
from tests.models.training.test_checkpoints import everything, examples, tiny_network, train
folder, preset = Path(sys.argv[3]), everything(sys.argv[2])
folder.mkdir(exist_ok=True)
history = train(
    tiny_network(preset), preset, examples(24), examples(9, seed=1), folder=folder, device=torch.device("cpu"),
    save_seconds=0.0, progress=lambda progress: print(progress.stage, progress.step, flush=True),
)
print(json.dumps(history.loss))
"""


def test_a_killed_run_ends_like_a_whole_one(tmp_path: Path) -> None:
    backbone = clip_folder(tmp_path / "clip")

    def child() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", CHILD, str(ROOT), backbone, str(tmp_path / "killed")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    for stop in ("pictures 4", "end-to-end 2"):
        with child() as process:
            assert process.stdout is not None
            for line in process.stdout:
                if line.strip() == stop:
                    process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    with child() as process:
        assert process.stdout is not None
        losses = json.loads(list(process.stdout)[-1])
    assert losses == run(everything(backbone), tmp_path / "whole").loss
    assert final(tmp_path / "killed") == final(tmp_path / "whole")


def test_cached_outputs_of_frozen_parts_are_those_computed_each_time(preset: Preset, tmp_path: Path) -> None:
    """Cached whole, in part (rows beyond the bound are computed), and not at all: the same losses and weights."""
    preset = replace(preset, stages=tuple(replace(s, epochs=2, learning_rate=1e-2) for s in preset.stages))
    histories = [run(preset, tmp_path / str(most), cache_bytes=most, save_seconds=60.0) for most in (10**9, 20_000, 0)]
    for other in histories[1:]:
        for stage, losses in histories[0].loss.items():
            assert losses == pytest.approx(other.loss[stage], rel=2e-3)
        assert other.accuracy == histories[0].accuracy


def test_a_resumed_run_completes_the_cache(preset: Preset, tmp_path: Path) -> None:
    """Killed while the outputs were being computed: only those that were missing are computed again."""
    network, calls = tiny_network(preset), list[int]()
    network.backbone.visual.register_forward_hook(lambda module, given, out: calls.append(len(given[0])))
    listings, warm_up = examples(200), replace(preset, stages=preset.stages[:1])

    def run_until(most: int) -> None:
        def stop(*_: object) -> None:
            if sum(calls) > most:
                raise KeyboardInterrupt

        handle = network.backbone.visual.register_forward_hook(stop)
        try:
            train(network, warm_up, listings, examples(4, seed=1), folder=tmp_path, device=CPU)
        finally:
            handle.remove()

    with pytest.raises(KeyboardInterrupt):
        run_until(1 + 64 + 64)
    calls.clear()
    run_until(10**6)
    assert calls == [1, 64, 64 - 56, 4, 4]  # shapes, rows 64–127, rows 128–199 …, validation before and after


def test_a_full_disk_is_a_user_error(preset: Preset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(UserError, match=r"no space for .*No space left on device.*model\.cache_gb"):
        run(preset, tmp_path)


def test_a_process_without_a_cache_leaves_that_of_rank_0_alone(preset: Preset, tmp_path: Path) -> None:
    network = tiny_network(preset)

    def cache(most_bytes: int) -> FrozenOutputs:
        def compute(rows: np.ndarray) -> dict[str, torch.Tensor]:
            return {"image_out": torch.from_numpy(rows)[:, None].float()}

        return FrozenOutputs(
            network, examples(9), folder=tmp_path, parts=("backbone.",), most_bytes=most_bytes, compute=compute
        )

    cache(10**6)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(files) == ["done.json", "image_out"]
    cache(0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files
