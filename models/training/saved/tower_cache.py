"""What parts that cannot move in a stage give for every listing: computed once, kept on disk, read by the batch.

In warm-up these are the towers' outputs, in tuning I′ and T′. The numbers are those that computing them each time would
give; only the time differs.
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
from models.network.towers import ImageSequence, TitleSequence
from schemas.errors import UserError
from schemas.files import write_whole

_CHUNK = 64  # listings

Outputs = dict[str, Tensor]


class FrozenOutputs:
    """Rows up to `most_bytes` are kept in `folder`, in files made before and gone on with where a killed run stopped;
    rows beyond are computed each time. `parts` are the prefixes of the weights that the numbers depend on."""

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
        first = compute(np.arange(min(1, len(examples))))
        row_bytes = sum(part[0].numel() * part.element_size() for part in first.values())
        self._rows = min(len(examples), most_bytes // row_bytes)
        self._folder = folder
        key = _digest(network, parts)
        # Of several processes only rank 0 keeps any: the others must leave its files alone.
        done = self._done(key, first) if self._rows else 0
        self._kept = {name: self._mapped(name, part) for name, part in first.items()} if self._rows else {}
        for start in range(done, self._rows, _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, self._rows))
            for name, part in compute(rows).items():
                self._kept[name][start : start + len(rows)] = part.cpu()
            self._note(key, first, start + len(rows))

    def towers(self, rows: np.ndarray) -> tuple[ImageSequence, TitleSequence]:
        """Of these listings, as the frozen towers give them in evaluation mode."""
        parts = self._of(rows)
        image, title, end = parts["image"], parts["title"], parts["end"]
        positions = torch.arange(title.shape[1], device=self._device)
        embedding = title.gather(1, end[:, None, None].expand(-1, 1, title.shape[-1]))[:, 0]
        valid = positions[None, :] <= end[:, None]
        return ImageSequence(image, image[:, 0]), TitleSequence(title, embedding, end, valid)

    def outputs(self, rows: np.ndarray) -> tuple[Float[Tensor, "B D"], Float[Tensor, "B D"]]:
        """I′ and T′ of these listings."""
        parts = self._of(rows)
        return parts["image_out"], parts["title_out"]

    def _of(self, rows: np.ndarray) -> Outputs:
        kept = rows < self._rows
        if not kept.all():  # order does not matter to what is computed, so one call does for all that is missing
            missing = self._compute(rows[~kept])
        parts = {}
        places = torch.from_numpy(kept)
        for name in self._kept or missing:
            if kept.all():
                part = self._kept[name][torch.from_numpy(rows)].to(self._device)
            else:
                part = missing[name].new_empty((len(rows), *missing[name].shape[1:]))
                part[places.logical_not().to(part.device)] = missing[name]
                if kept.any():
                    part[places.to(part.device)] = self._kept[name][torch.from_numpy(rows[kept])].to(part.device)
            parts[name] = part
        return parts

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

    def _done(self, key: str, first: Outputs) -> int:
        """Rows that are in the files already; files of other weights or shapes are removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            note = json.loads((self._folder / "done.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            note = {}
        if note.get("is") == self._description(key, first):
            return int(note["rows"])
        for path in self._folder.iterdir():
            path.unlink()
        return 0

    def _note(self, key: str, first: Outputs, rows: int) -> None:
        note = {"is": self._description(key, first), "rows": rows}
        write_whole(self._folder / "done.json", json.dumps(note))

    def _description(self, key: str, first: Outputs) -> dict[str, object]:
        shapes = {name: [str(part.dtype), *part.shape[1:]] for name, part in first.items()}
        return {"weights": key, "rows": self._rows, "parts": shapes}


def _digest(network: CmaClip, parts: tuple[str, ...]) -> str:
    digest = sha256()
    for name, tensor in network.state_dict().items():
        if name.startswith(parts):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
