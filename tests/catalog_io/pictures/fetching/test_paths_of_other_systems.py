"""Paths as Windows, web pages, shops and Macs write them: found, or the reason says what to do.

CellProfiler/CellProfiler#1385, microsoft/CNTK#1321, droppyjs/droppy#72, cryptomator/cryptomator#264.
"""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.spellings import spellings
from schemas.pictures import PictureError
from tests.catalog_io.pictures.fetching.errors import OPEN

NFD = unicodedata.normalize("NFD", "röd klänning.jpg")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "pub" / "media"
    for name in ("w/b/a.jpg", "img/red dress.jpg", "img/B.JPG", f"blå/{NFD}", "nfd/a.jpg", "media.jpg"):
        path = root / (unicodedata.normalize("NFD", "blå") + f"/{NFD}" if name.startswith("blå") else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "outside").symlink_to(tmp_path)
    return root


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("/w/b/a.jpg", "w/b/a.jpg"),
        ("w\\b\\a.jpg", "w/b/a.jpg"),
        (".\\w\\b\\a.jpg", "w/b/a.jpg"),
        ("\\w\\b\\a.jpg", "w/b/a.jpg"),
        ("./w//b/./a.jpg", "w/b/a.jpg"),
        ("w/b/a.jpg?v=1700000000", "w/b/a.jpg"),
        ("img/red%20dress.jpg", "img/red dress.jpg"),
        ("/img\\red%20dress.jpg?v=1", "img/red dress.jpg"),
        ("media/w/b/a.jpg", "w/b/a.jpg"),
        ("/pub/media/w/b/a.jpg", "w/b/a.jpg"),
        ("w/b/a.jpg\u200b", "w/b/a.jpg"),
        ("\ufeffw/b/\u200ea.jpg", "w/b/a.jpg"),
        ("img/red\u00a0dress.jpg", "img/red dress.jpg"),
        ("blå/röd klänning.jpg", f"blå/{NFD}"),
        (unicodedata.normalize("NFD", "blå") + "/röd klänning.jpg", f"blå/{NFD}"),
        ("bl%C3%A5/r%C3%B6d%20kl%C3%A4nning.jpg", f"blå/{NFD}"),
        ("outside/pub/media/w/b/a.jpg", "w/b/a.jpg"),
    ],
)
def test_the_file_is_found_and_its_stamp_is_that_of_the_file(folder: Path, uri: str, found: str) -> None:
    root = PictureRoot(str(folder), OPEN)
    fetched = root.read(uri)
    assert fetched and fetched.data == found.encode()
    assert root.stamp(uri) == fetched.stamp != ""
    assert root.read(uri, fetched.stamp) is None


def test_an_absolute_path_below_the_folder_may_be_written_so_too(folder: Path) -> None:
    root = PictureRoot(str(folder), OPEN)
    for uri in (f"{folder}/img/red dress.jpg", f"{folder}/img/red%20dress.jpg"):
        fetched = root.read(uri)
        assert fetched and root.stamp(uri) == fetched.stamp


@pytest.mark.parametrize(
    "name", ["a%20b.jpg", "a?v=1.jpg", "a\\b.jpg", "a\u200b.jpg", "C:\\a.jpg", "a\u00a0b.jpg", "=A1.jpg"]
)
def test_a_file_of_that_very_name_comes_first(folder: Path, name: str) -> None:
    for path in (folder / name, folder / "a b.jpg", folder / "a", folder / "a/b.jpg", folder / "a.jpg"):
        if not path.parent.is_dir():
            (folder / "a").unlink()
            path.parent.mkdir()
        path.write_bytes(path.name.encode())
    fetched = PictureRoot(str(folder), OPEN).read(name)
    assert fetched and fetched.data == name.encode()


@pytest.mark.parametrize(
    ("uri", "code", "words"),
    [
        ("C:\\export\\img\\B.JPG", "picture_not_found", "on drive C: of a Windows computer"),
        ("d:/img/B.JPG", "picture_not_found", "on drive D:"),
        ("\\\\server\\share\\a.jpg", "picture_not_found", "a Windows network"),
        ("~/a.jpg", "picture_not_found", "home folder"),
        ("file:///export/a.jpg", "picture_scheme_not_allowed", "from the folder of pictures on"),
        ("img/b.jpg", "picture_not_found", "but there is img/B.JPG"),
        ("IMG\\b.jpg", "picture_not_found", "but there is img/B.JPG"),
        ("img/red+dress.jpg", "picture_not_found", "but there is img/red dress.jpg"),
        ("img/red dress", "picture_not_found", "but there is img/red dress.jpg"),
        ("img/red dress.png", "picture_not_found", "but there is img/red dress.jpg"),
        ("'img/red dress.jpg'", "picture_not_found", "but there is img/red dress.jpg"),
        ("img/red dress.jpg#1", "picture_not_found", "but there is img/red dress.jpg"),
        ("/var/www/a.jpg", "picture_outside_root", "an absolute path outside"),
        ("..\\..\\secret.jpg", "picture_not_found", "there is no"),
        ("%2e%2e/%2e%2e/secret.jpg", "picture_not_found", "there is no"),
        ("outside\\secret.jpg", "picture_outside_root", "outside"),
        ("/outside/secret.jpg", "picture_outside_root", "outside"),
        ("outside/Secret.jpg", "picture_outside_root", "outside"),
        ("=VLOOKUP(A2,B:C,2)", "picture_cell_unreadable", "a formula of a spreadsheet"),
        ("#REF!", "picture_cell_unreadable", "an error of a spreadsheet"),
        ('{"id": 5}', "picture_cell_unreadable", "no key that names a picture, such as url, src or path"),
        ("img/" + "a" * 300 + ".jpg", "picture_not_found", "there is no"),
        ("img/\udc80%20.jpg", "picture_not_found", "there is no"),
        ("img/%00.jpg", "picture_not_found", "there is no"),
    ],
)
def test_the_reason_says_what_to_do(folder: Path, uri: str, code: str, words: str) -> None:
    root = PictureRoot(str(folder), OPEN)
    with pytest.raises(PictureError) as fault:
        root.read(uri)
    assert fault.value.code == code and words in fault.value.sentence
    assert "there is secret" not in fault.value.sentence
    assert len(fault.value.sentence) < 400 and fault.value.sentence.isprintable()
    root.stamp(uri)


PARTS = ["..", ".", "%2e%2e", "\\", "/", "a", "secret.jpg", "outside", "%5c", "%2f", "?", "\u200b", "media", "~", "C:"]


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_no_spelling_leads_out(uri: str) -> None:
    for spelling in spellings(uri, "/srv/pub/media"):
        assert not os.path.isabs(spelling) and ".." not in spelling.split("/")
