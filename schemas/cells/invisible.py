"""Removes characters that nobody sees: zero-width ones, marks of direction, soft hyphens, byte-order marks."""

import re
import unicodedata

# Written as numbers, because an editor would not show them.
_NOTHING = (
    *(0x00AD, 0x034F, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),
    *range(0x202A, 0x202E),  # without U+202E, which reverses the text after it
    *range(0x2060, 0x2070),
    *range(0xFFF9, 0xFFFC),
)
_JOINERS = (0x200C, 0x200D)  # these have a meaning inside emoji, and in Persian and Indic words
_IN_EMOJI = (*range(0xFE00, 0xFE10), *range(0xE0001, 0xE0080), *range(0xE0100, 0xE01F0))
_BLANK_LETTERS = "".join(map(chr, (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)))  # of a font that shows nothing for them


def _class(codes: tuple[int, ...]) -> str:
    return "".join(map(chr, codes))


INVISIBLE = f"[{_class((*_NOTHING, *_JOINERS, *_IN_EMOJI))}]"  # a regular expression, of Python and of polars
BLANK = rf"[\p{{Z}}\p{{M}}\p{{Cf}}{_BLANK_LETTERS}]"  # a letter for which `is_blank` holds, for polars
# A letter that NFC may change, and some that it does not.
_DECOMPOSED = (
    r"\p{M}\x{374}\x{37e}\x{387}\x{958}-\x{b5d}\x{f43}-\x{fb9}\x{1100}-\x{11ff}\x{1f71}-\x{2001}\x{2126}-\x{232a}"
    r"\x{2adc}\x{f900}-\x{fb4e}\x{1d15e}-\x{1d1c0}\x{2f800}-\x{2fa1d}"
)
UNCLEAN = rf"[{_class((*_NOTHING, *_JOINERS))}{_DECOMPOSED}]"  # what `visible_title` may change, for polars
REVERSING = "\u202e"

_ALL = re.compile(INVISIBLE)
_MEANINGLESS = re.compile(f"[{_class(_NOTHING)}]")
_JOINER_RUN = re.compile(f"[{_class(_JOINERS)}]+")
_SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")


def visible(text: str) -> str:
    """The text of an id, path or column name without invisible characters, in Unicode's NFC; other spaces become
    blanks, and those at its ends are removed. Control characters stay."""
    if text.isascii():
        return text.strip(" ")
    return unicodedata.normalize("NFC", _SPACES.sub(" ", _ALL.sub("", text))).strip(" ")


def without_invisible(text: str) -> str:
    """The text of an address without invisible characters; in whatever form of Unicode it is."""
    return text if text.isascii() else _ALL.sub("", text)


def visible_title(text: str) -> str:
    """`visible` for text that people read: zero-width joiners stay inside emoji, and where they shape a letter."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _JOINER_RUN.sub(_joiner, _MEANINGLESS.sub("", text)))


def is_blank(text: str) -> bool:
    """Whether the text shows nothing: only spaces, format characters, lone accents, or letters without a shape."""
    return all(
        letter in _BLANK_LETTERS or unicodedata.category(letter)[0] in "ZM" or _is_format(letter) for letter in text
    )


def _is_format(letter: str) -> bool:
    return unicodedata.category(letter) == "Cf"


def _joiner(run: re.Match[str]) -> str:
    """The first joiner of a run that shapes its neighbours; nothing for one that does not."""
    text, at, end = run.string, run.start(), run.end()
    before, after = text[at - 1 : at], text[end : end + 1]
    if before and unicodedata.category(before)[0] == "M":  # a virama, or the selector of an emoji
        return run[0][0]
    return run[0][0] if _is_joined(before) and _is_joined(after) else ""


def _is_joined(letter: str) -> bool:
    return letter >= "\u0600" and unicodedata.category(letter)[0] in "LMS"
