"""Guesses the encoding of a text file that names none: the one in which its words are damaged least."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from charset_normalizer.md import mess_ratio

from catalog_io.feeds.formats.readings import unlikely, words_of

# The usual code pages, the commonest first: it wins where two read the same.
PAGES = (
    *("utf-8", "windows-1252", "windows-1250", "windows-1251", "windows-1254", "gb18030", "cp932", "mac_roman"),
    *("windows-1253", "windows-1257", "iso8859-2", "cp850", "koi8-r", "euc_jp", "euc_kr", "big5"),
)
_SAMPLE_LINES, _SAMPLE_BYTES = 2_000, 100_000
_DOUBTFUL = 0.25  # another page is named where its damage is at most this much larger
_FEW_LINES = 2  # lines that are not UTF-8 decide nothing, where they are one in ten at most
_NOT_ASCII = re.compile(rb"[\x80-\xff]")


class Guess(NamedTuple):
    """The `encoding` to set, None where UTF-8 will do; and a sentence on what is uncertain about it."""

    encoding: str | None
    doubt: str | None = None


class _Reading(NamedTuple):
    encoding: str
    damage: float
    words: list[str]


def guess_encoding(head: bytes) -> Guess:
    """The likely encoding of a file that begins with these bytes, and has no byte-order mark."""
    if 10 * head.count(0) > len(head) > 0:
        return Guess("utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be")
    lines = [line for line in head.splitlines() if _NOT_ASCII.search(line)]
    bad = [line for line in lines if not _is_utf_8(line)]
    if bad and len(head) >= _SAMPLE_BYTES and bad[-1] is lines[-1] and head.endswith(bad[-1]):
        bad.pop()  # the head ends within a character
    if not bad:
        return Guess(None)
    wrong = set(bad)
    best, *others = _readings([*bad[: _SAMPLE_LINES // 2], *(line for line in lines if line not in wrong)])
    few = len(bad) <= _FEW_LINES and 10 * len(bad) < head.count(b"\n") and bad[0] != head.splitlines()[0]
    if few or best.encoding == "utf-8":
        count = f"{len(bad):,} of the first lines are" if len(bad) > 1 else "one of the first lines is"
        return Guess(None, f"{count} not UTF-8, and will be rejected; correct this where the file is written")
    doubt = f"the file is not UTF-8; {best.encoding} is guessed, which reads {' '.join(best.words[:3])}"
    if also := [f"{other.encoding} reads {_difference(other, best)}" for other in others]:
        doubt += f"; also possible: {', '.join(also)}"
    return Guess(best.encoding, f"{doubt}. Check such words")


def _is_utf_8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _readings(lines: Sequence[bytes]) -> list[_Reading]:
    """The least damaged reading of the lines, and others that are hardly more damaged."""
    sample = b"\n".join(list(dict.fromkeys(lines))[:_SAMPLE_LINES])[:_SAMPLE_BYTES]
    found: dict[tuple[str, ...], _Reading] = {}
    for encoding in PAGES:
        text = sample.decode(encoding, "replace")
        words = words_of(text)
        damage = unlikely(words, encoding) + mess_ratio("\n".join(words), 1.0) / 2
        found.setdefault(tuple(words), _Reading(encoding, damage, words))
    ranked = sorted(found.values(), key=lambda reading: reading.damage)
    return [reading for reading in ranked if reading.damage <= ranked[0].damage + _DOUBTFUL]


def _difference(other: _Reading, best: _Reading) -> str:
    """The first word that one reading has in another way than the best."""
    pairs = zip(other.words, best.words, strict=False)
    return next((f"{word} for {better}" for word, better in pairs if word != better), " ".join(other.words[:3]))
