import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.cells.literals import parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('["a.jpg", null]', ["a.jpg", None]),
        ("['a.jpg', 'b.jpg']", ["a.jpg", "b.jpg"]),
        ("('a.jpg',)", ["a.jpg"]),
        ("['a.jpg' 'b.jpg']", ["a.jpg", "b.jpg"]),
        ("['a.jpg'\n 'b.jpg']", ["a.jpg", "b.jpg"]),
        ("[{'url': 'a.jpg', 'main': True, 'alt': None}]", [{"url": "a.jpg", "main": True, "alt": None}]),
        ('["it\'s.jpg", \'say "a".jpg\']', ["it's.jpg", 'say "a".jpg']),
        (r"['a\'b.jpg', 'r\xf6d.jpg', 'r\u00f6d.jpg']", ["a'b.jpg", "röd.jpg", "röd.jpg"]),
        ("[nan, 'a.jpg']", [None, "a.jpg"]),
        (" {} ", {}),
    ],
)
def test_lists_and_objects(text: str, value: Any) -> None:
    assert parsed(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.jpg",
        "[b].jpg",
        "[NEW]",
        "[a, b]",
        "(1)x",
        "{",
        "[",
        "[1",
        "['a'",
        "{'a'}",
        "[os.system('x')]",
        '"a"',
        "[']",
        r'["\ud83d"]',
        "['\\U0000d83d']",
        "[" * 200 + "]" * 200,
    ],
)
def test_other_text_is_neither(text: str) -> None:
    assert parsed(text) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab'\"\\", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.lists(VALUES, max_size=3))
def test_what_python_and_json_write_is_read_back(value: list[Any]) -> None:
    assert parsed(json.dumps(value)) == value
    assert parsed(repr(value)) == value


@pytest.mark.parametrize("text", ["['" + "\\" * 400_000 + "]", "[" + "'a' " * 100_000, "[" + "1," * 200_000 + "]"])
def test_long_texts_take_time_in_proportion(text: str) -> None:
    start = time.process_time()
    parsed(text)
    assert time.process_time() - start < 5
