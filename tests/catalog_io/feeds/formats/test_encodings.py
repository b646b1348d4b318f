"""The guess of a file's encoding: the reading in which its words are damaged least, with what is doubtful about it."""

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.formats.encodings import PAGES, guess_encoding
from catalog_io.feeds.read import feed_shape
from catalog_io.feeds.settings import FeedSettings
from tests.catalog_io.feeds.feed_files import read, write

WORDS = {
    "Röd klänning, långärmad, blå kjol": ["windows-1252", "mac_roman", "cp850"],
    "Größe M, weiße Bluse, grüner Rock": ["windows-1252", "mac_roman", "cp850"],
    "Robe d’été à manches – écru, châle côtelé": ["windows-1252", "mac_roman"],
    "Vestido rojo de niña, pantalón marrón": ["windows-1252"],
    "Vestito più lungo, È nuovo": ["windows-1252"],
    "Kjóll rauður síður, peysa þykk": ["windows-1252"],
    "Nike® Air™ “Best” – 50 °C": ["windows-1252"],
    "RÖD KLÄNNING, BLÅ KJOL": ["windows-1252"],
    "Czerwona sukienka, długa, żółta spódnica, kość": ["windows-1250", "iso8859-2"],
    "Červené šaty, dlouhé, žluté tričko": ["windows-1250", "iso8859-2"],
    "Piros ruha, hosszú, női kabát, tűzött": ["windows-1250"],
    "Rochie roşie lungă, cămaşă bărbaţi": ["windows-1250"],
    "Kırmızı uzun elbise şık, yeşil etek": ["windows-1254"],
    "Красное платье длинное, синяя юбка": ["windows-1251", "koi8-r"],
    "Κόκκινο φόρεμα, μπλε φούστα": ["windows-1253"],
    "赤いワンピースドレス、青いスカート": ["cp932", "euc_jp"],
    "红色长款连衣裙": ["gb18030"],
    "紅色長版連身裙,藍色的裙子": ["big5"],
    "빨간 원피스 드레스": ["euc_kr"],
}
CASES = [(words, encoding) for words, encodings in WORDS.items() for encoding in encodings]


@pytest.mark.parametrize(("words", "encoding"), CASES, ids=[f"{words[:12]} {encoding}" for words, encoding in CASES])
def test_the_usual_code_pages_are_told_apart(tmp_path: Path, words: str, encoding: str) -> None:
    body = "id;name;pic\n" + "".join(f"{n};{words};a.jpg\n" for n in range(5))
    path = write(tmp_path / "a.csv", body.encode(encoding))
    shape = feed_shape(FeedSettings("m", str(path)))
    assert shape.encoding == encoding
    assert shape.doubt is not None
    assert f"the file is not UTF-8; {encoding} is guessed, which reads " in shape.doubt
    assert read(path, encoding=shape.encoding)["title"].to_list() == [words] * 5


def test_readings_that_differ_little_are_all_named() -> None:
    guess = guess_encoding("id;t\n1;Červené\n".encode("windows-1250"))
    assert "windows-1250 reads Červené" in str(guess) or guess.encoding == "windows-1250"
    assert "Èervené" in str(guess)
    guess = guess_encoding("id;t\n1;Kırmızı\n".encode("windows-1254"))
    assert {"windows-1252", "windows-1254", "Kýrmýzý", "Kırmızı"} <= {*re.findall(r"[\w-]+", str(guess.doubt))}


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xe9", b"\xf0\x9f"])
@pytest.mark.parametrize("text", ["Röd klänning", "Красное платье", "赤いワンピース", "Red dress"])
def test_one_bad_byte_does_not_decide(tmp_path: Path, bad: bytes, text: str) -> None:
    rows = [f"{n},{text} {n},a\n".encode() for n in range(40)]
    rows[7] = rows[7].replace(b",a", bad + b",a")
    path = write(tmp_path / "a.csv", b"id,name,pic\n" + b"".join(rows))
    shape = feed_shape(FeedSettings("m", str(path)))
    assert (shape.encoding, shape.doubt) == (
        None,
        "one of the first lines is not UTF-8, and will be rejected; correct this where the file is written",
    )
    frame = read(path)
    assert frame["fault"].drop_nulls().to_list() == ["not UTF-8 text"]
    assert frame["title"].drop_nulls().to_list() == [f"{text} {n}" for n in range(40) if n != 7]


def test_a_file_whose_cells_are_cut_within_a_character_stays_utf_8() -> None:
    guess = guess_encoding(b"".join(f"{n};blå röd é klänning".encode() + b"\xc3\n" for n in range(40)))
    assert guess.encoding is None
    assert guess.doubt is not None
    assert "40 of the first lines are not UTF-8" in guess.doubt


def test_a_head_that_ends_within_a_character_is_no_doubt() -> None:
    assert guess_encoding(("x\n" + "ö" * 60_000).encode()[:-1]) == (None, None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_wide_encodings(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path / "a.csv", "id,name,pic,färg\n1,Röd,a.jpg,blå\n".encode(encoding))
    shape = feed_shape(FeedSettings("m", str(path)))
    assert shape.columns == ["id", "name", "pic", "färg"]
    assert shape.encoding == (encoding if encoding in ("utf-16-le", "utf-16-be") else None)
    assert read(path, encoding=shape.encoding)["title"].to_list() == ["Röd"]


def test_only_names_that_are_not_utf_8_need_the_encoding(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "id,name,pic,färg\n".encode("windows-1252") + b"1,A,a.jpg,x\n" * 99)
    assert feed_shape(FeedSettings("m", str(path))).encoding == "windows-1252"


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 30))
def test_any_bytes_are_guessed_as_something_that_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, rows: int
) -> None:
    encoding, _ = guess_encoding(b"id,name,pic\n" + b"1,A,a\n" * rows + body)
    assert encoding is None or encoding in (*PAGES, "utf-16-le", "utf-16-be")
    path = write(tmp_path_factory.mktemp("feed") / "a.csv", b"id,name,pic\n1,A,a\n")
    assert read(path, **({"encoding": encoding} if encoding and "16" not in encoding else {})).height == 1
