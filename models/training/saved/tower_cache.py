"""Disk cache of the outputs of frozen parts, so that a stage does not run them again in every epoch.

Warm-up caches the towers' outputs, tuning caches I′ and T′. Training gives the same numbers with and without the cache.
"""

import json
import os
from collections.abc import Callable
from hashlib import sha256
from math import prod
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.network.embeddings import ImageSequence, TitleSequence
from schemas.errors import UserError
from schemas.files import write_whole

_CHUNK = 64  # listings

Outputs = dict[str, Tensor]


class FrozenOutputs:
    """The outputs of frozen parts for every listing: as many as fit into `most_bytes` are cached in `folder`, the
    others are computed at each call. A resumed run completes the files of a killed one.

    `compute` gives the outputs of the listings at some rows; `parts` are the prefixes of the weights that they depend
    on. `UserError` where the disk is full.
    """

    def __init__(
        self,
        network: CmaClip,
        examples: Examples,
        *,
        folder: Path,
        parts: tuple[str, ...],
        most_bytes: int,
        compute: Callable[[np.ndarray], Outputs],
    ) -> None:
        self._compute = compute
        self._device = next(network.parameters()).device
        self._folder = folder
        first = compute(np.arange(min(1, len(examples))))
        row_bytes = sum(part[0].numel() * part.element_size() for part in first.values())
        self._rows = min(len(examples), most_bytes // row_bytes)
        if not self._rows:  # so it is in all processes but rank 0, whose files they must leave alone
            return
        shapes = {name: [str(part.dtype), *part.shape[1:]] for name, part in first.items()}
        key = {"weights": _digest(network, parts), "rows": self._rows, "parts": shapes}
        done = self._rows_in_files(key)
        self._cached = {name: self._mapped(name, part) for name, part in first.items()}
        for start in range(done, self._rows, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, self._rows))
            for name, part in compute(rows).items():
                self._cached[name][start : start + len(rows)] = part.cpu()
            write_whole(self._folder / "done.json", json.dumps({"is": key, "rows": start + len(rows)}))

    def towers(self, rows: np.ndarray) -> tuple[ImageSequence, TitleSequence]:
        """The sequences of the frozen towers in evaluation mode, for the listings at these rows."""
        parts = self._read(rows)
        image = parts["image"]
        return ImageSequence(image, image[:, 0]), TitleSequence.of(parts["title"], parts["end"])

    def outputs(self, rows: np.ndarray) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """I′ and T′ of the listings at these rows."""
        parts = self._read(rows)
        return parts["image_out"], parts["title_out"]

    def _read(self, rows: np.ndarray) -> Outputs:
        cached = rows < self._rows
        found: list[Outputs] = []
        if cached.any():
            places = torch.from_numpy(rows[cached])
            found.append({name: part[places].to(self._device) for name, part in self._cached.items()})
        if not cached.all():
            found.append(self._compute(rows[~cached]))
        order = torch.from_numpy(np.argsort(np.argsort(~cached, kind="stable"))).to(self._device)
        return {name: torch.cat([part[name] for part in found])[order] for name in found[0]}

    def _mapped(self, name: str, like: Tensor) -> Tensor:
        path, shape = self._folder / name, (self._rows, *like.shape[1:])
        size = prod(shape) * like.element_size()
        try:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error here, and a crash when mapped
        except OSError as error:
            raise UserError(
                f"{self._folder}: there is no space for {size / 1e9:.1f} GB of tower outputs ({error.strerror}); free "
                "some, or lower model.cache_gb"
            ) from error
        return torch.from_file(str(path), shared=True, size=prod(shape), dtype=like.dtype).view(shape)

    def _rows_in_files(self, key: dict[str, object]) -> int:
        """How many rows the files have already. Files of other weights or shapes are removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            note = json.loads((self._folder / "done.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            note = {}
        if note.get("is") == key:
            return int(note["rows"])
        for path in self._folder.iterdir():
            path.unlink()
        return 0


def _digest(network: CmaClip, parts: tuple[str, ...]) -> str:
    digest = sha256()
    for name, tensor in network.state_dict().items():
        if name.startswith(parts):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
