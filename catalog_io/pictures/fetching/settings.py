"""The settings of picture fetching: `[fetch]` of cma.toml."""

from typing import Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from catalog_io.pictures.fetching.fetched import MAX_BYTES


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FetchSettings:
    """What the rows of a feed, which are not trusted, may make this machine fetch."""

    schemes: tuple[Literal["https", "http"], ...] = ("https", "http")
    """Schemes of picture URLs that rows may name."""
    allow_private: tuple[str, ...] = ()
    """Host names, addresses and CIDR networks that may be private, loopback or link-local."""
    max_bytes: int = Field(default=MAX_BYTES, ge=1)
    timeout: float = Field(default=20, gt=0)
    """Seconds for one picture in all: host lookup, redirects, the whole body."""
    max_redirects: int = Field(default=3, ge=0)
