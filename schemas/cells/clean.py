"""Cleans the cells of a feed's rows: ids, titles, label words and pictures, each by one rule for all formats."""

import re
from collections.abc import Callable

import polars as pl

from schemas.cells.invisible import BLANK, INVISIBLE, UNCLEAN, is_blank, visible, visible_title
from schemas.cells.markup import MARKUP, without_markup
from schemas.cells.null_words import NULL_WORDS, NullWords
from schemas.cells.spreadsheets import (
    is_error,
    is_formula,
    is_shortened,
    made_by_spreadsheet,
    text_of_formula,
    without_apostrophe,
    without_point,
)
from schemas.frames import LABEL_WORD_PREFIX

# The white space of Unicode; Python's own has control characters, too.
_SPACES = "\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_SPACE = re.compile(f"[{_SPACES}]+")
# Text that these do not match is clean, unless it is a word for nothing or not in Unicode's NFC.
_ID_SUSPECT = r"^[='`]|[.,]0$|[^\x00-\x7f]"
_TEXT_SUSPECT = rf"{MARKUP}|^=|{UNCLEAN}|^{BLANK}+$"


def clean_id(text: str, null_words: NullWords) -> str:
    """The id that a cell means; "" where it means none. Formulas, errors and shortened numbers stay as they are."""
    return _without_null(_settled(_id, text), null_words)


def clean_title(text: str, null_words: NullWords) -> str:
    """The title as people read it, on one line; "" where the cell has none. Formulas and errors stay as they are."""
    return _without_null(_settled(_text, text), null_words)


def clean_word(text: str, attribute: str, null_words: NullWords) -> str | None:
    """The word of a label; None where the cell says nothing about the attribute."""
    word = _settled(_word, text)
    return None if not word or is_blank(word) or null_words.has_label(attribute, word) else word


def clean(rows: pl.DataFrame, null_words: NullWords) -> pl.DataFrame:
    """The rows with listing_id and title cleaned and never null; product_id (the listing's where it has none of its
    own), pictures without words for nothing, and label_word_<attribute> (null where it says nothing)."""
    listing_id, product_id = (_ids(rows[name], null_words) for name in ("listing_id", "product_id"))
    grouped = (product_id != "") & ~made_by_spreadsheet(product_id, is_error, is_formula, is_shortened)
    return rows.with_columns(
        listing_id,
        product_id.zip_with(grouped, listing_id).alias("product_id"),
        _titles(rows["title"], null_words),
        _pictures(rows["pictures"], null_words),
        *(
            _words(rows[name], name.removeprefix(LABEL_WORD_PREFIX), null_words)
            for name in rows.columns
            if name.startswith(LABEL_WORD_PREFIX)
        ),
    )


def _ids(cells: pl.Series, null_words: NullWords) -> pl.Series:
    text = cells.cast(pl.String).fill_null("").str.strip_chars()
    return _repaired(text, text.str.contains(_ID_SUSPECT), lambda cell: clean_id(cell, null_words), null_words)


def _titles(cells: pl.Series, null_words: NullWords) -> pl.Series:
    text = cells.cast(pl.String).fill_null("").str.replace_all(r"\s+", " ").str.strip_chars()
    return _repaired(text, text.str.contains(_TEXT_SUSPECT), lambda cell: clean_title(cell, null_words), null_words)


def _words(cells: pl.Series, attribute: str, null_words: NullWords) -> pl.Series:
    words = cells.unique().drop_nulls()  # of which there are few
    cleaned = pl.Series([clean_word(word, attribute, null_words) for word in words], dtype=pl.String)
    return cells.replace_strict(words, cleaned, default=None, return_dtype=pl.String) if words.len() else cells


def _pictures(cells: pl.Series, null_words: NullWords) -> pl.Series:
    uris = cells.explode().struct.field("uri").drop_nulls()
    nothing = {uri for uri in uris.filter(_may_be_null(uris, null_words)).unique() if null_words.has(uri)}
    blank = uris.filter(uris.str.contains(rf"^(?:{BLANK}|{INVISIBLE})+$"))
    nothing.update(uri for uri in blank.unique() if is_blank(visible(uri)))
    if not nothing:
        return cells
    embedded = pl.element().struct.field("data").is_not_null()
    kept = embedded | ~pl.element().struct.field("uri").is_in(nothing)
    return cells.list.eval(pl.element().filter(kept))


def _repaired(
    cells: pl.Series, suspect: pl.Series, clean_one: Callable[[str], str], null_words: NullWords
) -> pl.Series:
    """The cells, of which only suspect ones and those that may be words for nothing are cleaned one by one."""
    suspect = suspect | _may_be_null(cells, null_words)
    if not suspect.any():
        return cells
    odd = cells.filter(suspect).unique()
    return cells.replace(odd, pl.Series([clean_one(cell) for cell in odd], dtype=pl.String))


def _may_be_null(cells: pl.Series, null_words: NullWords) -> pl.Series:
    suspect = cells.is_in(list(NULL_WORDS))
    if null_words.more:
        suspect |= cells.str.len_chars() <= 4 * max(map(len, null_words.more))
    return suspect


def _settled(clean_once: Callable[[str], str], text: str) -> str:
    """The text after as many cleanings as change it, because what one takes away may have hidden work for another."""
    before = None
    while before != text:
        before, text = text, clean_once(text)
    return text


def _id(text: str) -> str:
    return without_point(without_apostrophe(text_of_formula(visible(text).strip(_SPACES))))


def _text(text: str) -> str:
    return _SPACE.sub(" ", visible_title(text_of_formula(without_markup(text)))).strip(" ")


def _word(text: str) -> str:
    return _SPACE.sub(" ", visible(text_of_formula(without_markup(text)))).strip(" ")


def _without_null(text: str, null_words: NullWords) -> str:
    return "" if null_words.has(text) or is_blank(text) else text
