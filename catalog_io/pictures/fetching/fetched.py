"""What fetching a picture gives, and the error for one that is too large."""

from typing import NamedTuple

from schemas.pictures import PictureError

MAX_BYTES = 50_000_000


class Fetched(NamedTuple):
    """A picture's bytes, and a stamp that changes when the picture does ("" where the source gives none)."""

    data: bytes
    stamp: str


def too_many_bytes(size: int, most: int = MAX_BYTES) -> PictureError:
    """The error for a picture of at least `size` bytes, where `most` are read."""
    sentence = f"the picture has {size / 1e6:.3g} MB or more; at most {most / 1e6:.3g} MB are read"
    return PictureError("picture_too_many_bytes", sentence)
