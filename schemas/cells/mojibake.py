"""Finds text that was decoded in a wrong encoding, or encoded twice: Ã© for é, â€™ for ’, Ð¡ for С."""

from collections.abc import Iterable
from typing import NamedTuple

import polars as pl

# The bytes 80 to BF, which continue a character of UTF-8, as Windows-1252 and Latin-1 show them; without quotes and
# dashes, which stand behind a capital letter in right text too.
_SIGNS = r"\u0080-\u009f€‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ¡-¿"
_QUOTES = "‘’“”•–—…\u00a0"
_PATTERNS = (
    "\ufffd",
    rf"Ã[{_SIGNS}‘“•–—]",  # é is Ã©, Ö is Ã–
    r"Â[\u0080-\u009f\u00a0-¿€™]",  # the non-breaking space, °, £, ®
    r"â€|â„¢|â‚¬|ï»¿|ï¿½|â\u0080|â\u0084|(?:^|[\s(])Ã\u00a0",  # ’ “ – …, ™, €, the byte-order mark, U+FFFD, à
    r"Ă[©¤¶ĽźŸ±¸¨ˇ]|Ĺ[‚ˇşĽ›]|Ä[…™‡Śš]|â€|â„˘",  # é, ł, ą, ’ as Windows-1250
    r"Г[©¤¶Ґ±јџ]|вЂ[™“”њќў¦]|в„ў",  # é, ’, ™ as Windows-1251
    r"[ÄÅ][\u0080-\u009f‚ƒ„†‡ˆ‰Š‹ŒŽ˜™š›œžŸ¡-ª¬¯-¶¸-º¼-¿]",  # ą, ł, ş, č
    r"Ä…|Å‘|Å’|Å“|Å•",  # ą, ő, Œ, œ, ŕ
    rf"(?:[ÐÑ][{_SIGNS}{_QUOTES}]){{2}}",  # Cyrillic as Windows-1252
    rf"(?:[ÎÏ][{_SIGNS}{_QUOTES}]){{2}}",  # Greek
    r"(?:[РС][\u0402-\u040f\u0452-\u045f\u0490\u0491°±Ііµ¶·№»«¬®¦§©¤Ўў‘’“”•–—™›‚ƒ„…†‡€‰‹\u00a0]){3}",  # as Windows-1251
    rf"(?:[à-ï][{_SIGNS}{_QUOTES}]{{2}}){{2}}",  # Chinese, Japanese, Korean as Windows-1252
    rf"ðŸ[{_SIGNS}{_QUOTES}]{{2}}",  # emoji
    r"√[®©±∂∏§Ñ•°∫º≥ü…†¢£¶ß™´¨≠Æ]|‚Ä[ôúùìî¢¶]|¬[†Æ©∞£]",  # é, ’ as Mac Roman
    r"(?:[‚ƒ][\u0040-\u007e\u0080-ÿŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]){3}",  # Shift-JIS as Windows-1252
)
MOJIBAKE = "|".join(_PATTERNS)  # a regular expression of polars


class Garbled(NamedTuple):
    """The number of cells that look like mojibake, and one of them."""

    cells: int = 0
    example: str = ""


def garbled(columns: Iterable[pl.Series]) -> Garbled:
    """Counts the cells of text that look like mojibake."""
    found = [cells.filter(cells.str.contains(MOJIBAKE)) for cells in columns]
    return Garbled(sum(cells.len() for cells in found), next((cells[0] for cells in found if cells.len()), ""))
