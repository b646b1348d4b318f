"""Reads lists and objects that stand in a cell of text: JSON, and what Python and numpy print for theirs."""

import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""\s*+(?:(?P<single>'(?:[^'\\]|\\.)*+')|(?P<double>"(?:[^"\\]|\\.)*+")|(?P<mark>[\[\](){},:])"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<word>[A-Za-z]+))""",
    re.DOTALL,
)
_WORDS = {"None": "null", "nan": "null", "NaN": "null", "null": "null", "NaT": "null"}
_WORDS |= {"True": "true", "False": "false", "true": "true", "false": "false"}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_MOST_NESTING = 64


def parsed(text: str) -> list[Any] | dict[str, Any] | None:
    """The list or object that the text is, as JSON or as Python prints it; None for any other text.

    Takes time in proportion to the text, and evaluates nothing.
    """
    text = text.strip()
    if text[:1] + text[-1:] not in ("[]", "{}", "()") or text[:_MOST_NESTING].strip("[{( \n") == "":
        return None
    for read in (json.loads, _python):
        try:
            value = read(text)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, list | dict) and _is_unicode(text):
            return value
    return None


def _is_unicode(text: str) -> bool:
    """Whether no escape makes half a surrogate pair, which no store takes."""
    return not re.search(r"\\(?:u|U0000)[dD][89a-fA-F]", text) or _whole(text)


def _whole(text: str) -> bool:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except ValueError:  # also UnicodeEncodeError
        return False
    return True


def _python(text: str) -> Any:
    """The value of a Python literal, or of an array that numpy prints without commas; ValueError for anything else."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError("not a literal")
        at = found.end()
        token = found[0].strip()
        kind = found.lastgroup
        if kind in ("single", "double"):
            token = json.dumps(_ESCAPE.sub(_unescaped, token[1:-1]))
        elif kind == "word":
            token = _WORDS[token] if token in _WORDS else _refuse()
        else:
            token = {"(": "[", ")": "]"}.get(token, token)
        if tokens and tokens[-1] == "," and token in ("]", "}"):
            tokens.pop()  # (1,)
        elif tokens and kind != "mark" and tokens[-1] not in ("[", "{", ",", ":"):
            tokens.append(",")  # numpy's ['a' 'b']
        tokens.append(token)
    return json.loads("".join(tokens))


def _refuse() -> str:
    raise ValueError("a word that is no value")


def _unescaped(found: re.Match[str]) -> str:
    sign = found[1]
    return chr(int(sign[1:], 16)) if len(sign) > 1 else _ESCAPED.get(sign, sign)
