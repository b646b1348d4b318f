"""Training shared among processes, on one machine or several: what each needs to join is a folder.

`torchrun --nproc-per-node 2 -m models.training.launch FOLDER` is what `train_together` starts by itself on one machine.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors.torch import load_file

from models.engines.machine import keep_freed_memory
from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.training.presets import Preset
from models.training.saved.checkpoints import save
from models.training.train import train
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_PLAN, _START = "plan.json", "start.safetensors"
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
) -> None:
    """Leaves every stage's checkpoint in `folder`, where `train` finds them done. A process that dies ends all; what
    was saved is gone on with by the next call. The network itself stays as it is."""
    _write_plan(network, preset, examples, validation, taxonomy, folder=folder, cache_bytes=cache_bytes)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [*torchrun, "-m", "models.training.launch", str(folder)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)  # noqa: S603 (words of our own)
    if done.returncode:
        raise UserError(f"training in {processes} processes failed:\n{done.stderr[-9000:]}")
    (folder / _START).unlink()
    for name in _PARTS:  # the folder becomes the model's
        shutil.rmtree(folder / name)


def _write_plan(
    network: CmaClip,
    preset: Preset,
    examples: Examples,
    validation: Examples,
    taxonomy: Taxonomy,
    *,
    folder: Path,
    cache_bytes: int,
) -> None:
    """What `join` reads: the weights to start from, and arrays that all processes map into memory."""
    save(folder / _START, network.state_dict(), {})
    for name, part in zip(_PARTS, (examples, validation), strict=True):
        part.save(folder / name)
    plan = {"preset": preset.to_dict(), "taxonomy": taxonomy.to_dict(), "cache_bytes": cache_bytes}
    (folder / _PLAN).write_text(json.dumps(plan), encoding="utf-8")


def join(folder: str) -> None:
    """Takes part in the training of a folder, as one of the processes that torchrun started."""
    place = Path(folder)
    plan = json.loads((place / _PLAN).read_text(encoding="utf-8"))
    preset, taxonomy = Preset.from_dict(plan["preset"]), Taxonomy.from_dict(plan["taxonomy"])
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
        train(network, preset, *parts, folder=place, device=device, cache_bytes=plan["cache_bytes"])
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    join(sys.argv[1])
