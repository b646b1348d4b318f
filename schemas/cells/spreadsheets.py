"""Recognises what spreadsheets make of cells: errors, formulas, texts written as formulas, and shortened numbers."""

import re
from collections.abc import Callable

import polars as pl

# Matches all text that is of one of the kinds below.
_SUSPECT = r"^[=#+\-@]|^(?i:err:|loading\.)|\d[.,]?[Ee][+\-\d]|\d[.,]0$"

# As Excel, LibreOffice and Google Sheets show them, in the languages that translate them.
_ERROR = re.compile(
    r"#(?:[¡]?(?:REF|NAME|VALUE|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|UNKNOWN|BUSY|ERROR|PYTHON|EXTERNAL"
    r"|DIV/0|NOMBRE|VALOR|¡?NULO|NOM|VALEUR|NUL|NOMBRE|BEZUG|WERT|ZAHL|ÜBERLAUF|RIF|NOME|VALORE|VERW|NAAM|WAARDE"
    r"|GETAL|LEEG|DEEL/0|REFERENS|NAMN|VÄRDEFEL|OGILTIGT|SKÄRNING|DIVISION/0|ARG|ADR|NAZWA|LICZBA|DZIEL/0)[!?]?"
    r"|GETTING_DATA|#+)|Err:\d{3}|Loading\.\.\.",
    re.IGNORECASE,
)
# After = a function call, a reference to a cell, a quoted sheet or text, a number or a bracket. After + or -, which
# begin titles, too, common functions only.
_FORMULA = re.compile(
    r"=\s*(?:[+\-@]?\s*(?:_xl\w+\.)*[^\W\d_][\w.]*+\(|[+\-]?\$?[A-Za-z]{1,3}\$?\d+(?:[-+*/&:;,)^<>=]|$)|[\w.]++!|'[^']+'!"
    r"|\"|\(|\{|[+\-]?\d)|[+\-@]\s*(?:CONCAT|CONCATENATE|HLOOKUP|HYPERLINK|IF|IFERROR|IMAGE|INDEX|LEFT|MID|RIGHT|SUM|TEXT"
    r"|TRIM|VLOOKUP|XLOOKUP)\(.*\)$",
    re.DOTALL,
)
_TEXT_FORMULA = re.compile(r'=\s*"((?:[^"]|"")*+)"')
_LINK = re.compile(
    r'=\s*(?:_xl\w+\.)*(?:HYPERLINK|IMAGE)\(\s*"((?:[^"]|"")*+)"\s*(?:[,;].*)?\)', re.IGNORECASE | re.DOTALL
)
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+E[+-]?\d+|[.,]?E\+\d+)", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"(-?(?:0|[1-9]\d*))[.,]0")
_QUOTED_NUMBER = re.compile(r"['`´‘’](\d+)")
_EXACT_DIGITS = 15  # of a floating-point number


def is_error(text: str) -> bool:
    """Whether the text is an error of a spreadsheet, such as #REF! or Err:502, or a value that was not there yet, or a
    number that did not fit: ####."""
    return text[:1] in ("#", "E", "e", "L", "l") and _ERROR.fullmatch(text) is not None


def is_formula(text: str) -> bool:
    """Whether the text is the formula of a cell in place of its value, such as =VLOOKUP(A2,B:C,2)."""
    return text[:1] in ("=", "+", "-", "@") and _FORMULA.match(text) is not None


def text_of_formula(text: str) -> str:
    """The text of a cell that says ="text", by which people keep the zeros of 00123; any other text as it is."""
    found = _TEXT_FORMULA.fullmatch(text)
    return found[1].replace('""', '"') if found else text


def without_apostrophe(text: str) -> str:
    """The number that '00124 is, by which people make a spreadsheet keep its zeros; any other text as it is."""
    found = _QUOTED_NUMBER.fullmatch(text)
    return found[1] if found else text


def linked(text: str) -> str | None:
    """The address in =HYPERLINK("address", …) or =IMAGE("address"); None for any other text."""
    found = _LINK.fullmatch(text) if text[:1] == "=" else None
    return found[1].replace('""', '"') if found else None


def is_shortened(text: str) -> bool:
    """Whether the text is a number of which a spreadsheet has kept some digits only, such as 5.90123E+12."""
    if _SHORTENED.fullmatch(text):
        return True
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole is not None and len(whole[1].lstrip("-")) > _EXACT_DIGITS


def without_point(text: str) -> str:
    """The whole number that 125.0 is, as a column of numbers with gaps is written; any other text as it is."""
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole and len(whole[1].lstrip("-")) <= _EXACT_DIGITS else text


def made_by_spreadsheet(cells: pl.Series, *kinds: Callable[[str], bool]) -> pl.Series:
    """Which of the cells are of one of the kinds: `is_error`, `is_formula`, `is_shortened`."""
    suspect = cells.str.contains(_SUSPECT)
    if not suspect.any():
        return suspect
    return pl.Series(
        [may and any(kind(cell) for kind in kinds) for cell, may in zip(cells, suspect, strict=True)], dtype=pl.Boolean
    )
