"""Cells that name or contain several pictures."""

from pathlib import Path

import pytest

from tests.catalog_io.feeds.feed_files import read, uris, write


@pytest.mark.parametrize(
    ("name", "body", "settings"),
    [
        ("a.csv", 'id,name,pic,more\n1,A,"[""x"", null, ""y""]",z\n2,B,[b].jpg,"[1]"\n', {}),
        ("a.csv", "id,name,pic,more\n1,A,x| |y,z\n2,B,[b].jpg,[1]\n", {"image_separator": "|"}),
        (
            "a.jsonl",
            '{"id": 1, "name": "A", "pic": ["x", null, "y"], "more": "z"}\n'
            '{"id": 2, "name": "B", "pic": "[b].jpg", "more": "[1]"}\n',
            {},
        ),
    ],
)
def test_several_pictures(tmp_path: Path, name: str, body: str, settings: dict[str, str]) -> None:
    got = read(write(tmp_path / name, body), columns={"image": ["pic", "more"]}, **settings)
    assert uris(got) == [["x", "y", "z"], ["[b].jpg", "[1]"]]


def test_half_a_surrogate_pair_in_a_list_of_pictures(tmp_path: Path) -> None:
    got = read(write(tmp_path / "a.csv", 'id,name,pic\n1,A,"[""\\ud83d""]"\n'))
    assert uris(got) == [['["\\ud83d"]']]


def test_a_name_with_a_bracket_is_a_name(tmp_path: Path) -> None:
    assert read(write(tmp_path / "feed[1].csv", "id,name,pic\n1,A,a.jpg\n")).height == 1
