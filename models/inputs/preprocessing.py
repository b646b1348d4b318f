"""Turns stored pictures and titles into the network's inputs: uint8 pictures of its size, trimmed token ids."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from simplejpeg import decode_jpeg
from torch.nn.functional import interpolate

from models.network.towers import ClipBackbone, title_tokenizer
from schemas.errors import ConfigurationError


class Processor:
    """Decodes, scales and tokenizes for one backbone."""

    def __init__(self, *, backbone: str, image_size: tuple[int, int], context_length: int, trims_titles: bool) -> None:
        self.image_size = image_size
        self.context_length = context_length
        self._trims = trims_titles
        self._tokenize = title_tokenizer(backbone)

    @classmethod
    def of(cls, name: str, backbone: ClipBackbone) -> "Processor":
        """The processor of a backbone that is loaded; `name` is open_clip's."""
        return cls(
            backbone=name,
            image_size=backbone.image_size,
            context_length=backbone.context_length,
            trims_titles=backbone.trims_titles,
        )

    def picture(self, jpeg: bytes) -> UInt8[np.ndarray, "H W 3"]:
        """A stored JPEG, decoded and scaled to the network's size. A square network gets the centre of the picture (as
        CLIP was trained), others the whole. OSError or ValueError where the bytes are no picture."""
        height, width = self.image_size
        pixels = torch.from_numpy(_decoded(jpeg))
        if height == width:
            side = min(pixels.shape[:2])
            top, left = ((length - side) // 2 for length in pixels.shape[:2])
            pixels = pixels[top : top + side, left : left + side]
        # Pillow's filter in a third of its time. The batch axis comes first, so that PyTorch sees channels_last and
        # does not copy the tensor twice.
        resized = interpolate(pixels[None].permute(0, 3, 1, 2), (height, width), mode="bicubic", antialias=True)
        return resized[0].permute(1, 2, 0).numpy()

    def pictures(
        self,
        jpegs: Sequence[bytes | None],
        *,
        threads: int = 1,
        progress: Callable[[int], None] | None = None,
        out: NDArray[np.uint8] | None = None,
    ) -> UInt8[np.ndarray, "B H W 3"]:
        """Decodes pictures on `threads` threads into `out` (None: a new array), which is zeros. A listing without a
        picture keeps them: its modality is masked."""
        pictures = np.zeros((len(jpegs), *self.image_size, 3), dtype=np.uint8) if out is None else out

        def decode(position: int) -> None:
            jpeg = jpegs[position]
            if jpeg is not None:
                pictures[position] = self.picture(jpeg)
            if progress:
                progress(1)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(decode, range(len(jpegs))))
        return pictures

    def tokens(self, titles: Sequence[str]) -> Int64[np.ndarray, "B T"]:
        """Token ids, padded with zeros to the longest title of the batch (to the context length for towers that attend
        to padding). A title longer than the context is cut."""
        ids: NDArray[np.int64] = self._tokenize(list(titles), context_length=self.context_length).numpy()
        return trim(ids) if self._trims else ids

    def require_stored_size(self, short_side: int) -> None:
        """ConfigurationError where the network reads more pixels than ingestion stores."""
        if min(self.image_size) > short_side:
            height, width = self.image_size
            raise ConfigurationError(
                f"ingest.picture_size is {short_side}, but the model reads {height}×{width} pixels: "
                f"set ingest.picture_size = {min(self.image_size)} or more and ingest again"
            )


def _decoded(jpeg: bytes) -> UInt8[np.ndarray, "H W 3"]:
    try:
        return decode_jpeg(jpeg, "RGB")
    except ValueError:  # also for unusual files that Pillow reads, and that ingestion therefore accepted
        pass
    try:
        with Image.open(BytesIO(jpeg), formats=("JPEG",)) as image:
            return np.array(image.convert("RGB"))
    except UnidentifiedImageError as fault:
        raise ValueError("it is no JPEG") from fault


def trim(ids: Int64[np.ndarray, "B T"]) -> Int64[np.ndarray, "B t"]:
    """Removes the columns at the end that are padding in every row; keeps at least one column."""
    used = np.flatnonzero((ids != 0).any(axis=0))
    return ids[:, : int(used[-1]) + 1 if len(used) else 1]
