"""Labels in pairs of a name and a value: WooCommerce's attributes, Shopify's options, Magento's one cell."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog_io.feeds.label_pairs import LabelPairs, _pair
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import read, write

COLORS = ["Color", "Colour"]
NUMBERED = LabelPairs(COLORS, name="Attribute * name", value="Attribute * value(s)")


def words(folder: Path, body: str, label: LabelPairs) -> list[str | None]:
    frame = read(write(folder / "a.csv", body), {"color": label})
    return frame["label_word_color"].to_list()


def test_the_first_pair_with_the_name_gives_the_word(tmp_path: Path) -> None:
    header = "id,name,pic,Attribute 2 name,Attribute 2 value(s),Attribute 1 name,Attribute 1 value(s)\n"
    rows = [
        ("1,A,a.jpg,Colour,Navy,Size,M", "Navy"),
        ("2,A,a.jpg,Colour,Navy, COLOR ,Red", "Red"),
        ("3,A,a.jpg,Colour,Navy,Color,", None),
        ('4,A,a.jpg,,,Color,"Red, Navy"', None),
        ("5,A,a.jpg,,,Color name,Red", None),
        ("6,A,a.jpg,,Red,,Red", None),
        ("7,A,a.jpg,,,Color, Dark red ", "Dark red"),
    ]
    expected = [word for _, word in rows]
    expected[2] = "Navy"  # an empty value is none
    assert words(tmp_path, header + "\n".join(row for row, _ in rows), NUMBERED) == expected


def test_columns_without_their_partner_and_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no columns Attribute \* name with Attribute \* value"):
        words(tmp_path, "id,name,pic,Attribute 1 name\n1,A,a,Color\n", NUMBERED)
    header = "id,name,pic,Attribute 1 name,Attribute 1 name,Attribute 1 value(s)\n"
    with pytest.raises(UserError, match="two columns are called 'Attribute 1 name'"):
        words(tmp_path, header + "1,A,a,Color,Size,Red\n", NUMBERED)
    header = "id,name,pic,Attribute 1 name,Attribute 1 value(s),Meta: _x,Meta: _x\n"
    assert words(tmp_path, header + "1,A,a,Color,Red,,\n", NUMBERED) == ["Red"]


def test_pairs_of_json_rows(tmp_path: Path) -> None:
    body = (
        '{"id": 1, "name": "A", "pic": "a", "Attribute 1 name": "Color", "Attribute 1 value(s)": "Red"}\n'
        '{"id": 2, "name": "A", "pic": "a"}\n'
    )
    frame = read(write(tmp_path / "a.jsonl", body), {"color": NUMBERED})
    assert frame["label_word_color"].to_list() == ["Red", None]


@pytest.mark.parametrize(
    ("cell", "word"),
    [
        ("color=Red,pattern=Solid,size=M", "Red"),
        ("pattern=Solid, Color = Red ,size=M", "Red"),
        ('"care=wash, color=fast",color=Red', "Red"),
        ("features=soft, airy,color=Red", "Red"),
        ("color=,colour=Navy", "Navy"),
        ("color=Red,size", "Red,size"),
        ("size=M", None),
        ("color", None),
        ("", None),
        ("=", None),
    ],
)
def test_the_value_in_a_cell_of_pairs(cell: str, word: str | None) -> None:
    assert _pair(cell, {"color", "colour"}) == word


@given(st.text(max_size=40))
def test_any_cell_is_read(cell: str) -> None:
    value = _pair(cell, {"color"})
    assert value is None or value.strip()


def test_a_cell_of_pairs_with_several_words_is_no_label(tmp_path: Path) -> None:
    body = 'id,name,pic,more\n1,A,a,"color=Red|Navy,size=M"\n2,A,a,"color=Red,size=M"\n3,A,a,\n'
    assert words(tmp_path, body, LabelPairs(["color"], pairs="more")) == [None, "Red", None]


@pytest.mark.parametrize(
    "settings",
    [
        {"called": COLORS},
        {"called": [], "pairs": "a"},
        {"called": COLORS, "pairs": "a", "name": "b*"},
        {"called": COLORS, "name": "Attribute * name"},
        {"called": COLORS, "name": "Attribute name", "value": "Attribute *"},
        {"called": COLORS, "name": "* *", "value": "*"},
    ],
)
def test_a_wrong_mapping_is_refused(settings: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"needs `called`"):
        LabelPairs(**settings)
