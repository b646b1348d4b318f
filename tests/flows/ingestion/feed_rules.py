"""The rules of deduplication in plain Python: which rows of a feed become which listings."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from schemas.cells.clean import clean_id, clean_title
from schemas.cells.null_words import NullWords
from schemas.cells.spreadsheets import is_error, is_formula, is_shortened
from schemas.listings import NO_ID


class Row(NamedTuple):
    listing_id: str | None
    title: str | None
    pictures: tuple[str, ...]
    word: str | None


Feed = Sequence[Row | None]  # None: a row that cannot be read


class Outcome(NamedTuple):
    rows: int
    accepted: int
    pictures: dict[str, list[str]]  # keys in order, by listing
    rejected: dict[int, list[str]]  # codes by row number


BLANKS = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))


def codes_of(row: Row) -> list[str]:
    listing_id, title = row.listing_id or "", row.title or ""
    broken = {
        "listing_id_missing": not listing_id,
        "listing_id_too_long": len(listing_id) > 200,
        "listing_id_control_character": any(c == "\u202e" or unicodedata.category(c) == "Cc" for c in listing_id),
        "listing_id_spreadsheet_error": is_error(listing_id),
        "listing_id_formula": is_formula(listing_id),
        "listing_id_shortened": is_shortened(listing_id),
        "title_missing": not title,
        "title_too_long": len(title) > 2000,
        "title_control_character": any(c == "\u202e" or unicodedata.category(c) == "Cc" for c in title),
        "title_spreadsheet_error": is_error(title),
        "title_formula": is_formula(title),
        "image_too_many": len(row.pictures) > 100,
    }
    return [code for code, is_broken in broken.items() if is_broken]


def expected(feed: Feed, *, embedded: bool) -> Outcome:
    """The first row with an id has it; later good ones that differ in their pictures only are more pictures of it, and
    so are later ones that lack only a title."""
    firsts: dict[str, Row | None] = {}  # None: a rejected one
    named: dict[str, list[tuple[str, ...]]] = {}
    rejected: dict[int, list[str]] = {}
    for number, given_row in enumerate(feed, 1):
        if given_row is None:
            rejected[number] = ["row_unreadable"]
            continue
        row = Row(
            clean_id(given_row.listing_id or "", NullWords()),
            clean_title(given_row.title or "", NullWords()),
            tuple(name if embedded else name.strip(BLANKS) for name in given_row.pictures if name),
            (given_row.word or "").strip(BLANKS),
        )
        codes = codes_of(row)
        listing_id = "" if set(codes) & set(NO_ID) else str(row.listing_id)
        if listing_id and listing_id in firsts:
            first = firsts[listing_id]
            if codes == ["title_missing"] and first is not None:
                named[listing_id].append(_once(row.pictures))
                continue
            alike = first is not None and first._replace(pictures=()) == row._replace(pictures=())
            if codes or not alike or not row.pictures or _once(row.pictures) in named[listing_id]:
                codes.append("listing_id_duplicate")
            else:
                named[listing_id].append(_once(row.pictures))
        elif listing_id:
            firsts[listing_id] = None if codes else row
            named[listing_id] = [_once(row.pictures)]
        if codes:
            rejected[number] = codes
    pictures = {
        listing_id: list(dict.fromkeys(name for names in named[listing_id] for name in names))
        for listing_id, first in firsts.items()
        if first is not None
    }
    return Outcome(len(feed), len(feed) - len(rejected), pictures, rejected)


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
