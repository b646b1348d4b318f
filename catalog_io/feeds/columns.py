"""Maps the columns of a feed to those of a listing, and builds the frame that every reader yields."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Self

import polars as pl

from catalog_io.feeds.picture_cells import PICTURES, picture_list, pictures
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from schemas.frames import LABEL_WORD_PREFIX

BATCH_BYTES = 64_000_000  # about as much of a feed as is in memory at once
RAW_CHARACTERS = 20_000  # characters of a row that are stored for the report of rejected rows
_REQUIRED = ("listing_id", "title", "image")
_OPTIONAL = ("product_id", "split")


class Unreadable(NamedTuple):
    """A row that cannot be read: its content, as far as it is known, and the reason."""

    content: object
    fault: str


class FeedShape(NamedTuple):
    """A feed's columns, and the settings that it cannot be read without (None: the default will do)."""

    columns: list[str]
    delimiter: str | None = None
    encoding: str | None = None


class FeedReader(Protocol):
    """Reads one file or query of a feed. Opening it checks its header and columns, and raises UserError."""

    shape: FeedShape

    def frames(self, batch_rows: int) -> Iterator[pl.DataFrame]:
        """Yields the frames of `read_feed`, without row_number."""


class FeedColumns(NamedTuple):
    """Our column → the feed's: `text` (ids, title, split), `images`, `words` (labels); `separator` of pictures."""

    text: dict[str, str]
    images: tuple[str, ...]
    words: dict[str, str]
    separator: str | None

    @classmethod
    def mapped(cls, feed: FeedSettings) -> Self:
        """The columns that the settings map; ConfigurationError where the mapping itself is wrong."""
        key, columns = f"feeds.{feed.name}.columns", feed.columns
        if missing := [name for name in _REQUIRED if not columns.get(name)]:
            raise ConfigurationError(f"{key}: {', '.join(missing)} is not mapped to a column of the feed")
        if unknown := columns.keys() - {*_REQUIRED, *_OPTIONAL}:
            raise ConfigurationError(f"{key}: there is no {', '.join(sorted(unknown))} to map")
        text: dict[str, str] = {}
        for ours in ("listing_id", "product_id", "title", *(["split"] if columns.get("split") else [])):
            theirs = columns.get(ours) or columns["listing_id"]
            if not isinstance(theirs, str):
                raise ConfigurationError(f"{key}: {ours} is one column; only image can be several")
            text[ours] = theirs
        words = {f"{LABEL_WORD_PREFIX}{attribute}": column for attribute, column in feed.labels.items()}
        images = columns["image"]
        return cls(text, (images,) if isinstance(images, str) else tuple(images), words, feed.image_separator or None)

    @property
    def names(self) -> list[str]:
        """The feed's columns that are mapped, each once."""
        return list(dict.fromkeys([*self.text.values(), *self.images, *self.words.values()]))

    def check(self, found: Sequence[str], path: str) -> None:
        """Raises UserError where a mapped column is not among those of the file or query at `path`, or is twice."""
        if missing := [name for name in self.names if name not in found]:
            raise UserError(
                f"{path}: there is no column {', '.join(map(repr, missing))}; the columns are: {', '.join(found)}. "
                "Correct the feed's `columns` or `labels` in cma.toml"
            )
        if twice := [name for name in self.names if found.count(name) > 1]:
            raise UserError(f"{path}: two columns are called {twice[0]!r}; rename one of them")

    def frame(
        self,
        cells: pl.DataFrame,
        raw: pl.Series,
        unreadable: Mapping[int, Unreadable] | None = None,
        images: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """The frame of `read_feed` for some rows, without row_number.

        `cells` has the mapped columns of text; `images` (None: `cells`) has those of pictures, as `pictures` takes
        them. `unreadable` has rows by their index; their cells must be null.
        """
        reasons: list[str | None] = [None] * cells.height
        if unreadable:
            shown = raw.to_list()
            for row, (content, reason) in unreadable.items():
                shown[row], reasons[row] = json_text(content), reason
            raw = pl.Series(shown, dtype=pl.String)
        lists = [pictures((cells if images is None else images)[name], self.separator) for name in self.images]
        return pl.DataFrame(
            [
                *(cells[theirs].cast(pl.String).alias(ours) for ours, theirs in self.text.items()),
                (lists[0] if len(lists) == 1 else pl.select(pl.concat_list(lists)).to_series()).alias("pictures"),
                *(_word(cells[theirs]).alias(ours) for ours, theirs in self.words.items()),
                _clipped(raw).alias("raw"),
                pl.Series("fault", reasons, dtype=pl.String),
            ]
        )

    def frame_of_values(
        self, rows: Sequence[Mapping[str, Any]], raw: Sequence[str | None], unreadable: Mapping[int, Unreadable]
    ) -> pl.DataFrame:
        """The frame of `read_feed` for rows of JSON or SQL values, without row_number."""

        def text(name: str) -> pl.Series:
            return pl.Series(name, [_text(row.get(name)) for row in rows], dtype=pl.String)

        def picture_cells(name: str) -> pl.Series:
            values = [row.get(name) for row in rows]
            if all(isinstance(value, str | None) for value in values):
                return pl.Series(name, values, dtype=pl.String)
            return pl.Series(name, [picture_list(value, self.separator) for value in values], dtype=PICTURES)

        ours = dict.fromkeys([*self.text.values(), *self.words.values()])
        return self.frame(
            pl.DataFrame([text(name) for name in ours]),
            pl.Series(raw, dtype=pl.String),
            unreadable,
            pl.DataFrame([picture_cells(name) for name in self.images]),
        )


def json_text(value: object) -> str:
    """The value as JSON of about RAW_CHARACTERS at most; text that is not Unicode is escaped, so any store takes it."""
    raw = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
    return raw if len(raw) <= RAW_CHARACTERS else json.dumps(raw[:RAW_CHARACTERS], ensure_ascii=False)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _word(cells: pl.Series) -> pl.Series:
    """Label words; an empty cell becomes null."""
    return pl.select(pl.lit(cells.cast(pl.String).str.strip_chars()).replace("", None)).to_series()


def _clipped(raw: pl.Series) -> pl.Series:
    if not (raw.str.len_chars() > RAW_CHARACTERS).any():
        return raw
    return pl.Series([row if len(row) <= RAW_CHARACTERS else json_text(row) for row in raw], dtype=pl.String)
