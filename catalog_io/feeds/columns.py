"""Which of a feed's columns are which of ours, and the frame that every source makes of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import polars as pl

from schemas.errors import ConfigurationError, UserError

LABEL_WORD_PREFIX = "label_word_"  # column `label_word_<attribute>`: the merchant's own word
PICTURES = pl.List(pl.Struct({"uri": pl.String, "data": pl.Binary}))  # in order; data: embedded bytes, or null
BATCH_BYTES = 64_000_000  # about so much of a feed is in memory at once
RAW_CHARACTERS = 20_000  # of a row that are kept for the report
_REQUIRED = ("listing_id", "title", "image")


@dataclass(frozen=True)
class FeedSource:
    """Where a feed is and what its columns are called (`[feeds.<name>]` of cma.toml).

    source: path, glob, fsspec URI (s3://, gs://, https://, …), or a SQLAlchemy URL, which then has a `query`.
    columns: listing_id, title, image (one column, or several in order) and, if there is one, product_id.
    labels: attribute -> column. encoding: None means by byte-order mark, else UTF-8. delimiter: None means "," or,
    for .tsv and .txt, a tab; where the first line then lacks a mapped column, whichever of , ; tab | has them all.
    image_separator: parts several pictures in one cell.
    """

    name: str
    source: str
    columns: Mapping[str, str | Sequence[str]]
    labels: Mapping[str, str]
    query: str | None = None
    encoding: str | None = None
    delimiter: str | None = None
    image_separator: str | None = None


class Unreadable(NamedTuple):
    """A row that is none: what stands there, and why it cannot be read."""

    content: object
    fault: str


class FeedColumns(NamedTuple):
    """Our columns and what the feed calls them: text (ids, title), images, words (label words)."""

    text: dict[str, str]
    images: tuple[str, ...]
    words: dict[str, str]
    separator: str | None

    @classmethod
    def of(cls, feed: FeedSource) -> Self:
        """ConfigurationError where the mapping itself is wrong."""
        key, columns = f"feeds.{feed.name}.columns", feed.columns
        if missing := [name for name in _REQUIRED if not columns.get(name)]:
            raise ConfigurationError(f"{key}: {', '.join(missing)} is not mapped to a column of the feed")
        if unknown := columns.keys() - {*_REQUIRED, "product_id"}:
            raise ConfigurationError(f"{key}: there is no {', '.join(sorted(unknown))} to map")
        text: dict[str, str] = {}
        for ours in ("listing_id", "product_id", "title"):
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

    def check(self, there: Sequence[str], path: str) -> None:
        """UserError where a mapped column is not among those that are `there`, or stands there twice."""
        if missing := [name for name in self.names if name not in there]:
            raise UserError(
                f"{path}: there is no column {', '.join(map(repr, missing))}; the columns are: {', '.join(there)}. "
                "Correct the feed's `columns` or `labels` in cma.toml"
            )
        if twice := [name for name in self.names if there.count(name) > 1]:
            raise UserError(f"{path}: the column {twice[0]!r} stands twice among the columns; rename one of them")

    def frame(
        self,
        cells: pl.DataFrame,
        raw: pl.Series,
        unreadable: Mapping[int, Unreadable] | None = None,
        images: pl.DataFrame | None = None,
    ) -> pl.DataFrame:
        """What `read_feed` yields, without row_number.

        `cells` holds the mapped columns, castable to text, and `images` (else also `cells`) those of pictures, as
        `pictures` takes them. `unreadable` has rows by their index; all cells of these are null.
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
        """The same of rows that hold values of JSON or SQL."""

        def text(name: str) -> pl.Series:
            return pl.Series(name, [_text(row.get(name)) for row in rows], dtype=pl.String)

        def several(name: str) -> pl.Series:
            values = [row.get(name) for row in rows]
            if all(isinstance(value, str | None) for value in values):
                return pl.Series(name, values, dtype=pl.String)
            return pl.Series(name, [picture_list(value, self.separator) for value in values], dtype=PICTURES)

        ours = dict.fromkeys([*self.text.values(), *self.words.values()])
        return self.frame(
            pl.DataFrame([text(name) for name in ours]),
            pl.Series(raw, dtype=pl.String),
            unreadable,
            pl.DataFrame([several(name) for name in self.images]),
        )


def pictures(cells: pl.Series, separator: str | None) -> pl.Series:
    """PICTURES of a column of text, bytes, struct<bytes, path> or lists of one of these, without blank entries.

    Text is one picture, a JSON array of several, or several that `separator` parts.
    """
    if isinstance(cells.dtype, pl.Array):
        cells = cells.arr.to_list()
    if isinstance(cells.dtype, pl.List):
        lists = cells
    elif is_text(cells.dtype):
        lists = _parted(cells.cast(pl.String), separator)
    else:
        lists = pl.select(pl.concat_list(cells)).to_series()
    assert isinstance(lists.dtype, pl.List)
    entries = lists.list.eval(_entry(lists.dtype.inner))
    kept = (pl.element().struct.field("uri") != "") | pl.element().struct.field("data").is_not_null()
    return entries.list.filter(kept).cast(PICTURES).fill_null([])


def picture_list(value: Any, separator: str | None) -> list[dict[str, Any]]:
    """The same for one value of JSON or SQL: entries of PICTURES, blank ones too."""
    match value:
        case None:
            return []
        case str():
            return [{"uri": uri, "data": None} for uri in parted(value, separator)]
        case bytes():
            return [{"uri": None, "data": value}]
        case {"bytes": bytes() | None as data, **others}:
            path = others.get("path")
            return [{"uri": path if isinstance(path, str) else None, "data": data}]
        case list() | tuple():
            return [entry for item in value for entry in picture_list(item, None)]
        case _:
            return [{"uri": json.dumps(value, ensure_ascii=False, default=str), "data": None}]


def parted(cell: str, separator: str | None) -> list[str]:
    """The pictures that one cell of text names."""
    if cell.lstrip().startswith("["):
        try:
            several = json.loads(cell)
        except (ValueError, RecursionError):  # a name with a bracket is a name
            several = None
        if isinstance(several, list) and all(isinstance(item, str | None) for item in several):
            uris = [item or "" for item in several]
            return uris if is_unicode(uris) else [cell]
    return cell.split(separator) if separator else [cell]


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column holds text or whole numbers, which are the same text everywhere."""
    return dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)


def is_unicode(cells: Iterable[str]) -> bool:
    """Whether cells have no half of a surrogate pair, which stands for what could not be decoded."""
    try:
        return all(cell.isascii() or cell.encode() for cell in cells)
    except UnicodeEncodeError:
        return False


def fields(dtype: Any) -> dict[str, Any]:
    """A struct's fields and their types; none, where it is no struct."""
    return {field.name: field.dtype for field in dtype.fields} if isinstance(dtype, pl.Struct) else {}


def json_text(value: object) -> str:
    """JSON that any store can hold: what is not Unicode is written as an escape, and only so much of it is kept."""
    raw = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace").decode()
    return raw if len(raw) <= RAW_CHARACTERS else json.dumps(raw[:RAW_CHARACTERS], ensure_ascii=False)


def _parted(cells: pl.Series, separator: str | None) -> pl.Series:
    if cells.str.contains(r"^\s*\[").any():
        several = [None if cell is None else parted(cell, separator) for cell in cells]
        return pl.Series(several, dtype=pl.List(pl.String))
    return cells.str.split(separator) if separator else pl.select(pl.concat_list(cells)).to_series()


def _entry(dtype: Any) -> pl.Expr:
    """uri and data of one picture."""
    value, uri, data = pl.element(), pl.lit(""), pl.lit(None, pl.Binary)
    if dtype == pl.Binary:
        data = value
    elif parts := fields(dtype):
        data = value.struct.field("bytes" if "bytes" in parts else "data")
        named = [value.struct.field(name) for name in ("path", "uri") if name in parts]
        uri = named[0] if named else uri
    else:
        uri = value.cast(pl.String)
    present = pl.when(data.bin.size() > 0).then(data)  # no bytes are no picture
    return pl.struct(uri=uri.cast(pl.String).fill_null("").str.strip_chars(), data=present)


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _word(cells: pl.Series) -> pl.Series:
    """An empty label cell is no label."""
    return pl.select(pl.lit(cells.cast(pl.String).str.strip_chars()).replace("", None)).to_series()


def _clipped(raw: pl.Series) -> pl.Series:
    if not (raw.str.len_chars() > RAW_CHARACTERS).any():
        return raw
    return pl.Series([row if len(row) <= RAW_CHARACTERS else json_text(row) for row in raw], dtype=pl.String)
