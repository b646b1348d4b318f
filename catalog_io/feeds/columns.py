"""Maps the columns of a feed to those of a listing, and builds the frame that every reader yields."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, Self

import polars as pl

from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.paths import split_path, text_of, value_at, with_paths
from catalog_io.feeds.picture_cells import PICTURES, pictures
from catalog_io.feeds.picture_values import pictures_of_value
from catalog_io.feeds.raw_rows import clipped, json_text
from catalog_io.feeds.settings import FeedSettings
from catalog_io.feeds.structures import structure_faults
from catalog_io.feeds.text_sources import TextSource, filled_template, template_columns
from schemas.errors import ConfigurationError, UserError
from schemas.frames import LABEL_WORD_PREFIX

BATCH_BYTES = 64_000_000  # about as much of a feed as is in memory at once
_REQUIRED = ("listing_id", "title", "image")
_OPTIONAL = ("product_id", "split")
_SEVERAL = ("image", "product_id", "title")  # may be mapped to a list of columns


class Unreadable(NamedTuple):
    """A row that cannot be read: its content, as far as it is known, and the reason."""

    content: object
    fault: str


class FeedShape(NamedTuple):
    """A feed's columns, and the settings that it cannot be read without (None: the default will do)."""

    columns: list[str]
    delimiter: str | None = None
    encoding: str | None = None
    header_line: int | None = None
    doubt: str | None = None  # what is uncertain about the encoding


class FeedReader(Protocol):
    """Reads one file or query of a feed. Opening it checks its header and columns, and raises UserError."""

    shape: FeedShape

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        """Yields the frames of `read_feed`, without row_number."""


class FeedColumns(NamedTuple):
    """Our column → the feed's, or a path into its objects: `text` (ids, title, split), `images`, `words` and `pairs`
    (labels); `separator` of pictures."""

    text: dict[str, TextSource]
    images: tuple[str, ...]  # columns, or templates of paths
    words: dict[str, str]
    pairs: dict[str, LabelPairs]
    separator: str | None

    @classmethod
    def mapped(cls, feed: FeedSettings) -> Self:
        """The columns that the settings map; ConfigurationError where the mapping itself is wrong."""
        key, columns = f"feeds.{feed.name}.columns", feed.columns
        if missing := [name for name in _REQUIRED if not columns.get(name)]:
            raise ConfigurationError(f"{key}: {', '.join(missing)} is not mapped to a column of the feed")
        if unknown := columns.keys() - {*_REQUIRED, *_OPTIONAL}:
            raise ConfigurationError(f"{key}: there is no {', '.join(sorted(unknown))} to map")
        options = {ours: (theirs,) if isinstance(theirs, str) else tuple(theirs) for ours, theirs in columns.items()}
        text: dict[str, TextSource] = {}
        for ours in ("listing_id", "product_id", "title", *(["split"] if columns.get("split") else [])):
            theirs = options.get(ours) or options["listing_id"]
            if len(theirs) > 1 and ours not in _SEVERAL:
                raise ConfigurationError(f"{key}: {ours} is one column; only {', '.join(_SEVERAL)} can be several")
            text[ours] = TextSource(theirs)
        labels = {f"{LABEL_WORD_PREFIX}{attribute}": source for attribute, source in feed.labels.items()}
        words = {ours: source for ours, source in labels.items() if isinstance(source, str)}
        pairs = {ours: source for ours, source in labels.items() if isinstance(source, LabelPairs)}
        return cls(text, options["image"], words, pairs, feed.image_separator or None)

    @property
    def names(self) -> list[str]:
        """The feed's columns and paths that must be there, each once."""
        return list(dict.fromkeys([*self.text_names, *self.image_names]))

    @property
    def text_names(self) -> list[str]:
        """The mapped columns of text, each once."""
        of_pairs = [pairs.pairs for pairs in self.pairs.values() if pairs.pairs]
        templates = [name for image in self.images for name in template_columns(image)]
        sources = [name for source in self.text.values() for name in source.names]
        return list(dict.fromkeys([*sources, *templates, *self.words.values(), *of_pairs]))

    @property
    def image_names(self) -> list[str]:
        """The mapped columns of pictures, without templates."""
        return [name for name in self.images if not template_columns(name)]

    def sources(self, found: Collection[str]) -> list[str]:
        """Those of the columns found that the mapped columns and paths need, each once."""
        of_pairs = [name for pairs in self.pairs.values() for name in pairs.needed(found)]
        places = [place[0] for name in self.names if (place := split_path(name, found))]
        return list(dict.fromkeys([*places, *of_pairs]))

    def missing(self, found: Collection[str]) -> list[str]:
        """The mapped columns and paths for which there is no column among those found."""
        return [name for name in self.names if split_path(name, found) is None]

    def check(self, found: Sequence[str], path: str) -> None:
        """Raises UserError where a mapped column is not among those of the file or query at `path`, or is twice."""
        if missing := self.missing(found):
            raise UserError(
                f"{path}: there is no column {', '.join(map(repr, missing))}; the columns are: {', '.join(found)}. "
                "Correct the feed's `columns` or `labels` in cma.toml"
            )
        if empty := [pairs.shown() for pairs in self.pairs.values() if not pairs.needed(found)]:
            raise UserError(f"{path}: there are no columns {empty[0]}; the columns are: {', '.join(found)}")
        if twice := [name for name in self.sources(found) if found.count(name) > 1]:
            raise UserError(f"{path}: two columns are called {twice[0]!r}; rename one of them")

    def frame(
        self,
        cells: pl.DataFrame,
        raw: pl.Series,
        unreadable: Mapping[int, Unreadable] | None = None,
        images: pl.DataFrame | None = None,
        no_text: Mapping[str, Collection[int]] = MappingProxyType({}),
    ) -> pl.DataFrame:
        """The frame of `read_feed` for some rows, without row_number.

        `cells` has the mapped columns of text; `images` (None: `cells`) has those of pictures, as `pictures` takes
        them. `unreadable` has rows by their index; their cells must be null. `no_text`: the rows in which a
        column of text has a boolean, a list or an object.
        """
        images = with_paths(cells if images is None else images, self.image_names)
        cells = with_paths(cells, self.text_names)
        reasons: list[str | None] = [None] * cells.height
        raw = clipped(raw.alias("raw"))
        if unreadable:
            shown = raw.to_list()
            for row, (content, reason) in unreadable.items():
                shown[row], reasons[row] = json_text(content), reason
            raw = pl.Series("raw", shown, dtype=pl.String)
        text = {ours: source.cells(cells).alias(ours) for ours, source in self.text.items()}
        for row, (ours, reason) in structure_faults(self.text, text, cells, no_text).items():
            reasons[row] = reason
            if ours == "listing_id":
                text[ours][row] = None
        lists = [
            pictures(filled_template(image, cells), None)
            if template_columns(image)
            else pictures(images[image].alias("picture"), self.separator)
            for image in self.images
        ]
        return pl.DataFrame(
            [
                *text.values(),
                (lists[0] if len(lists) == 1 else pl.select(pl.concat_list(lists)).to_series()).alias("pictures"),
                *(_word(cells[theirs]).alias(ours) for ours, theirs in self.words.items()),
                *(_word(pairs.words(cells)).alias(ours) for ours, pairs in self.pairs.items()),
                raw,
                pl.Series("fault", reasons, dtype=pl.String),
            ]
        )

    def frame_of_values(
        self, rows: Sequence[Mapping[str, Any]], raw: Sequence[str | None], unreadable: Mapping[int, Unreadable]
    ) -> pl.DataFrame:
        """The frame of `read_feed` for rows of JSON or SQL values, without row_number."""

        no_text: dict[str, list[int]] = {}

        def text(name: str) -> pl.Series:
            values = [value_at(row, name) for row in rows]
            no_text[name] = [row for row, value in enumerate(values) if isinstance(value, bool | list | dict)]
            return pl.Series(name, list(map(text_of, values)), dtype=pl.String)

        def picture_cells(name: str) -> pl.Series:
            values = [value_at(row, name) for row in rows]
            if all(isinstance(value, str | None) for value in values):
                return pl.Series(name, values, dtype=pl.String)
            return pl.Series(name, [pictures_of_value(value, self.separator) for value in values], dtype=PICTURES)

        found = dict.fromkeys(name for row in rows for name in row) if self.pairs else ()
        of_pairs = [name for pairs in self.pairs.values() for name in pairs.needed(found)]
        return self.frame(
            pl.DataFrame([text(name) for name in dict.fromkeys([*self.text_names, *of_pairs])]),
            pl.Series(raw, dtype=pl.String),
            unreadable,
            pl.DataFrame([picture_cells(name) for name in self.image_names]),
            no_text,
        )


def _word(cells: pl.Series) -> pl.Series:
    """Label words; an empty cell becomes null."""
    return pl.select(pl.lit(cells.alias("word").cast(pl.String).str.strip_chars()).replace("", None)).to_series()
