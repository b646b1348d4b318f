"""Recognises what spreadsheets make of cells: errors, formulas, texts written as formulas, and shortened numbers."""

import re

# As Excel, LibreOffice and Google Sheets show them, in the languages that translate them.
_ERROR = re.compile(
    r"#(?:[¡]?(?:REF|NAME|VALUE|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|CONNECT|UNKNOWN|BUSY|ERROR|PYTHON|EXTERNAL"
    r"|DIV/0|NOMBRE|VALOR|¡?NULO|NOM|VALEUR|NUL|NOMBRE|BEZUG|WERT|ZAHL|ÜBERLAUF|RIF|NOME|VALORE|VERW|NAAM|WAARDE"
    r"|GETAL|LEEG|DEEL/0|REFERENS|NAMN|VÄRDEFEL|OGILTIGT|SKÄRNING|DIVISION/0|ARG|ADR|NAZWA|LICZBA|DZIEL/0)[!?]?"
    r"|GETTING_DATA|#+)|Err:\d{3}",
    re.IGNORECASE,
)
# A function call, a reference to a cell, a quoted sheet or text, a number or a bracket after the sign.
_FORMULA = re.compile(
    r"=\s*(?:[+\-@]?\s*(?:_xl\w+\.)*[A-Za-z][A-Za-z0-9._]*\(|[+\-]?\$?[A-Za-z]{1,3}\$?\d+\b|[\w.]+!|'[^']+'!|\"|\(|\{|"
    r"[+\-]?\d)|[+\-@]\s*[A-Z][A-Z0-9._]*\(.*\)$",
    re.DOTALL,
)
_TEXT_FORMULA = re.compile(r'=\s*"((?:[^"]|"")*+)"')
_LINK = re.compile(
    r'=\s*(?:_xl\w+\.)*(?:HYPERLINK|IMAGE)\(\s*"((?:[^"]|"")*+)"\s*(?:[,;].*)?\)', re.IGNORECASE | re.DOTALL
)
_SHORTENED = re.compile(r"[+-]?\d+(?:[.,]\d+E[+-]?\d+|[.,]?E\+\d+)", re.IGNORECASE)
_WHOLE_FLOAT = re.compile(r"(-?\d+)[.,]0")
_EXACT_DIGITS = 15  # of a floating-point number


def is_error(text: str) -> bool:
    """Whether the text is an error of a spreadsheet, such as #REF! or Err:502, or a number that did not fit: ####."""
    return text[:1] in ("#", "E", "e") and _ERROR.fullmatch(text) is not None


def is_formula(text: str) -> bool:
    """Whether the text is the formula of a cell in place of its value, such as =VLOOKUP(A2,B:C,2)."""
    return text[:1] in ("=", "+", "-", "@") and _FORMULA.match(text) is not None


def text_of_formula(text: str) -> str:
    """The text of a cell that says ="text", by which people keep the zeros of 00123; any other text as it is."""
    found = _TEXT_FORMULA.fullmatch(text)
    return found[1].replace('""', '"') if found else text


def linked(text: str) -> str | None:
    """The address in =HYPERLINK("address", …) or =IMAGE("address"); None for any other text."""
    found = _LINK.fullmatch(text) if text[:1] == "=" else None
    return found[1].replace('""', '"') if found else None


def is_shortened(text: str) -> bool:
    """Whether the text is a number of which a spreadsheet has kept some digits only, such as 5.90123E+12."""
    if _SHORTENED.fullmatch(text):
        return True
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole is not None and len(whole[1].lstrip("-0")) > _EXACT_DIGITS


def without_point(text: str) -> str:
    """The whole number that 125.0 is, as a column of numbers with gaps is written; any other text as it is."""
    whole = _WHOLE_FLOAT.fullmatch(text)
    return whole[1] if whole and len(whole[1].lstrip("-0")) <= _EXACT_DIGITS else text
