"""The batch shapes of the NVIDIA engines: titles are padded to one of a few lengths, listings to a power of two."""

from collections.abc import Iterator
from dataclasses import dataclass

LENGTHS = (16, 32)  # and the model's own context length; most titles have fewer than 32 tokens
BATCH = 128


@dataclass(frozen=True)
class Shapes:
    """Ascending title lengths, each an optimisation profile, and the most listings in a batch."""

    lengths: tuple[int, ...]
    batch: int

    @classmethod
    def of(
        cls, context_length: int, *, trims_titles: bool, lengths: tuple[int, ...] = LENGTHS, batch: int = BATCH
    ) -> "Shapes":
        """The shapes for a model: these title lengths and its context length, or the latter only where the text tower
        attends to padding."""
        shorter = sorted({length for length in lengths if length < context_length}) if trims_titles else []
        return cls((*shorter, context_length), batch)

    def profile(self, length: int) -> int:
        """The index of the shortest profile for titles of `length` tokens. ValueError where all are shorter."""
        for index, longest in enumerate(self.lengths):
            if length <= longest:
                return index
        raise ValueError(f"a title has {length} tokens, and the plan was built for {self.lengths[-1]} at most")

    def rows(self, listings: int) -> int:
        """The number of rows for this many listings; few sizes, because each is captured as a CUDA graph."""
        return min(self.batch, 1 << (listings - 1).bit_length())

    def pieces(self, listings: int) -> Iterator[slice]:
        """Cuts listings into batches."""
        for start in range(0, listings, self.batch):
            yield slice(start, min(start + self.batch, listings))

    def __str__(self) -> str:
        return f"{self.batch} listings, titles of {', '.join(map(str, self.lengths))} tokens"
