"""What fetching a picture is allowed, what it gives, and how it fails."""

from dataclasses import dataclass
from typing import NamedTuple

from schemas.pictures import TRANSIENT, PictureError

__all__ = ["MAX_BYTES", "TRANSIENT", "FetchPolicy", "Fetched", "PictureError", "too_many_bytes"]

MAX_BYTES = 50_000_000


@dataclass(frozen=True)
class FetchPolicy:
    """What a feed's rows may make this machine read."""

    schemes: tuple[str, ...] = ("https", "http")
    """Of picture URLs that rows may name; only these two can be fetched."""
    allow_private: tuple[str, ...] = ()
    """Host names, addresses and CIDR networks that may be private, loopback or link-local."""
    max_bytes: int = MAX_BYTES
    timeout: float = 20.0
    """Seconds for one picture in all: looking up the host, redirects, the whole body."""
    max_redirects: int = 3


class Fetched(NamedTuple):
    """`stamp` changes when the picture does; it is "" where nothing tells."""

    data: bytes
    stamp: str


def too_many_bytes(size: int, most: int = MAX_BYTES) -> PictureError:
    """For a picture of `size` bytes, or of at least so many."""
    sentence = f"the picture has {size / 1e6:.3g} MB or more; at most {most / 1e6:.3g} MB are read"
    return PictureError("picture_too_many_bytes", sentence)
