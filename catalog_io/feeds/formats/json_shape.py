"""Finds where the rows of a JSON file are: one object a line, printed objects, an array, or a list in an object."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from schemas.errors import UserError

DECODER = json.JSONDecoder(parse_constant=lambda _: None)  # pandas writes NaN, which JSON does not have
BLANK = " \t\r\n\x1e\ufeff"  # between values; files put together have marks in between
Path = tuple[str, ...]
Fits = Callable[[list[str]], bool] | None
_DEEPEST = 3  # list within objects
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"|[\[\]{}]')


def path_of_rows(head: str, shown: str, fits: Fits, *, whole: bool) -> Path | None:
    """The keys that lead to the list of rows, none of them where the rows are the file's values or in arrays; None for
    one object a line. UserError where there are several lists.

    `head` is the beginning of the file, or the `whole` of it; `fits` tells a row by its keys, None takes any list of
    objects for rows.
    """
    head = head.lstrip(BLANK)
    if head.startswith("["):
        return () if head[1:].lstrip(BLANK).startswith(("{", "]")) else None
    value, end = _first_value(head, whole)
    if not isinstance(value, dict):
        return None
    before, behind = head[:end], head[end:].lstrip(" \t\r")
    if "\n" in before or not behind.strip(BLANK):
        path = list_path(value, shown, fits)
        return path if path or "\n" not in before else ()
    return () if behind.startswith(("{", ",")) else None


def list_path(value: dict[str, Any], shown: str, fits: Fits) -> Path | None:
    """The keys that lead to the only list of rows in an object that is no row itself; None where there is none."""
    if fits and fits(list(value)):
        return None
    paths = list_paths(value, fits)
    if len(paths) > 1:
        raise no_choice(shown, paths)
    return paths[0] if paths else None


def list_paths(value: Any, fits: Fits, deepest: int = _DEEPEST) -> list[Path]:
    """The keys that lead to lists of objects within an object."""
    found: list[Path] = []
    for key, member in value.items() if isinstance(value, dict) and deepest else ():
        is_list = isinstance(member, list) and member and all(isinstance(item, dict) for item in member)
        if is_list and (fits is None or fits(list(dict.fromkeys(name for item in member for name in item)))):
            found.append((key,))
        found += [(key, *path) for path in list_paths(member, fits, deepest - 1)]
    return found


def no_choice(shown: str, paths: Sequence[Path]) -> UserError:
    """The error for a file that has several lists of rows."""
    ways = " or ".join(f"jq -c '.{'.'.join(path)}[]'" for path in paths)
    return UserError(f"{shown}: the JSON has several lists; make a file of the listings, one a line, with {ways}")


def _first_value(head: str, whole: bool) -> tuple[Any, int]:
    """The first value and where it ends; one that goes on behind the head as far as it is there."""
    try:
        return DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        pass
    if not whole and (closed := _closed(head)):
        try:
            return DECODER.decode(closed), len(head)
        except (ValueError, RecursionError):
            pass
    return None, 0


def _closed(head: str) -> str | None:
    """The beginning of a JSON value up to the last list or object that is complete, with what is open closed."""
    still_open: list[str] = []
    at, missing = 0, ""
    for token in _TOKEN.finditer(head):
        if (sign := token[0]) in "[{":
            still_open.append("]" if sign == "[" else "}")
        elif sign in "]}":
            if not still_open or still_open.pop() != sign or not still_open:
                return None
            at, missing = token.end(), "".join(reversed(still_open))
    return head[:at] + missing if at else None
