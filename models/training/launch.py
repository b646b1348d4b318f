"""Data-parallel training in several processes, which read all that they need from one folder.

`train_together` starts `torchrun --nproc-per-node N -m models.training.launch FOLDER` on this machine.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.distributed as dist
from pydantic import TypeAdapter
from safetensors.torch import load_file
from torch.distributed.elastic.multiprocessing.errors import record

from models.engines.machine import keep_freed_memory
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.distributed import processes, rank
from models.training.presets import Preset
from models.training.saved.checkpoints import save
from models.training.train import train
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_PLAN, _START, _FAILURE = "plan.json", "start.safetensors", "failure.json"
_PARTS = ("train", "validation")


def train_together(
    network: CmaClip,
    preset: Preset,
    examples: Examples,
    validation: Examples,
    taxonomy: Taxonomy,
    *,
    folder: Path,
    processes: int,
    cache_bytes: int = 20_000_000_000,
    features: Path | None = None,
) -> None:
    """Trains in `processes` and leaves the checkpoints of all stages in `folder`, where `train` finds them; `network`
    itself does not change.

    If a process fails, all end: UserError with the exception of the first that failed. The next call resumes.
    """
    save(folder / _START, network.state_dict(), {})
    for name, part in zip(_PARTS, (examples, validation), strict=True):
        part.save(folder / name)  # arrays that all processes map into memory
    plan = {"preset": asdict(preset), "taxonomy": taxonomy.to_dict(), "cache_bytes": cache_bytes}
    plan["features"] = str(features) if features else None
    (folder / _PLAN).write_text(json.dumps(plan), encoding="utf-8")
    (folder / _FAILURE).unlink(missing_ok=True)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    done = subprocess.run(  # noqa: S603 (no word of the command comes from outside)
        [*torchrun, "-m", "models.training.launch", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TORCHELASTIC_ERROR_FILE": str(folder / _FAILURE)},
        check=False,
    )
    if done.returncode:
        raise UserError(f"training in {processes} processes failed: {_first_failure(folder) or done.stderr[-9000:]}")
    (folder / _START).unlink()
    for name in _PARTS:  # the folder becomes the model's
        shutil.rmtree(folder / name)


def _first_failure(folder: Path) -> str | None:
    """The exception of the process that failed first, and its traceback; None where a signal killed it."""
    try:
        failure = json.loads((folder / _FAILURE).read_text(encoding="utf-8"))["message"]
        return f"{failure['message']}\n{failure['extraInfo']['py_callstack']}"
    except (OSError, ValueError, KeyError, TypeError):
        return None


@record
def join(folder: str) -> None:
    """Trains by the plan in `folder`, as one of the processes that torchrun started."""
    place = Path(folder)
    plan = json.loads((place / _PLAN).read_text(encoding="utf-8"))
    preset, taxonomy = TypeAdapter(Preset).validate_python(plan["preset"]), Taxonomy.from_dict(plan["taxonomy"])
    cuda = torch.cuda.is_available()
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        local = dist.get_node_local_rank(fallback_rank=0)
        device = torch.device("cuda", local) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        else:
            torch.set_num_threads(1)  # two processes of one thread are faster than one of two
        keep_freed_memory()
        parts = [Examples.load(place / name) for name in _PARTS]
        network = preset.build(taxonomy, load_pretrained=False)
        network.load_state_dict(load_file(place / _START))
        features = Path(plan["features"]) if plan["features"] else None
        bound = plan["cache_bytes"]
        train(network, preset, *parts, folder=place, device=device, cache_bytes=bound, features=features)
    except Exception as error:
        error.add_note(f"This was rank {rank()} of {processes()}.")
        raise
    dist.destroy_process_group()


if __name__ == "__main__":
    try:
        join(sys.argv[1])
    except Exception:
        # torchrun orders failures by whole seconds. The other processes fail once this one has closed its connections.
        time.sleep(1.1)
        raise
