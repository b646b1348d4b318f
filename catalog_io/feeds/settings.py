"""The settings of one merchant's feed: `[feeds.<name>]` of cma.toml."""

from collections.abc import Mapping

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from catalog_io.feeds.label_pairs import LabelPairs


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class FeedSettings:
    """Where a merchant's feed is, and what its columns are called there. `name` is the section's name in cma.toml."""

    name: str
    source: str
    """Path, glob, fsspec URI (s3://, https://, …), SQLAlchemy URL with `query`, or the folder of a `layout`."""
    columns: Mapping[str, str | list[str]] = Field(default_factory=dict)
    """listing_id, title, image, product_id, split → column of the feed, path into its objects ("title.en"), or text
    with {column} in it. A list: for image all of them in order, for title and product_id the first that is not
    empty."""
    labels: Mapping[str, str | LabelPairs] = Field(default_factory=dict)
    """Attribute of the taxonomy → column that has the merchant's words for it, or pairs of names and values."""
    query: str | None = None
    """SQL whose rows are the listings."""
    encoding: str | None = None
    """None: by the byte-order mark, else UTF-8."""
    delimiter: str | None = None
    """None: `,`, or a tab for .tsv and .txt; where the first line then lacks a mapped column, the first of , ; tab |
    that gives them all."""
    header_line: int | None = Field(default=None, ge=1)
    """The line of a CSV or TSV file that names the columns, from 1. None: the first, or the one after Excel's sep=."""
    escape: str | None = None
    """The character before quotes within quotes, such as a backslash. None: a backslash where the beginning of the file
    can be read only so; "": none, quotes are doubled."""
    image_separator: str | None = None
    """Separates several pictures in one cell."""
    null_words: tuple[str, ...] = ()
    """Words that mean nothing in this feed's ids, titles, pictures and labels, besides the usual ones (nan, NULL, N/A,
    -). A label word that the taxonomy has keeps its meaning."""
    layout: str | None = None
    """A published data set (`feeds.published.layouts`), which has columns of its own; `columns` can replace them."""
    images: str = ""
    """Root of relative picture paths, which rows can never leave; for a layout, its folder."""
    full: bool = True
    """Whether the feed has all listings of the merchant: one that is gone from it becomes inactive."""
    most_gone: float = Field(default=0.5, ge=0, le=1)
    """A larger share of listings gone at once is taken for a fault of the feed, which then changes nothing."""
