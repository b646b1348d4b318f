"""Guesses about pictures: the separator in a cell, their folder, and paths that are made from ids."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.init.pictures import guess_separator, local_paths, picture_folder, picture_template, split


@pytest.mark.parametrize(
    ("cells", "separator"),
    [
        (["a.jpg", "b.jpg"], None),
        (["a.jpg|b.jpg", "c.png"], "|"),
        (["a.jpg, b.JPG"], ","),
        (["https://h/a https://h/b"], " "),
        (["https://h/a\nhttps://h/b", "https://h/a\r\nhttps://h/c"], "\n"),
        (["https://h/w_100,h_200/a.jpg"], None),
        (["https://h/w_100,h_200/a.jpg, https://h/w_100,h_200/b.jpg"], ", "),
        (["https://h/fetch/w_100,h_200/https://other/a.jpg"], None),
        (["https://h/a.jpg?list=1,2;3|4"], None),
        (["https://h/a,//h/b"], ","),
        (["a red dress.jpg"], None),
        (["a,b.jpg"], None),
        (["https://h/a,https://h/b"] * 99 + ["https://h/a,b"], ","),
        (["https://h/a,https://h/b", "https://h/a,b"], None),
        ([], None),
    ],
)
def test_the_separator_of_pictures_is_guessed_from_cells(cells: list[str], separator: str | None) -> None:
    found = guess_separator(cells)
    assert (found.value if found else None) == separator


path = st.text(alphabet="abc/,;|_-.", max_size=12)


@given(st.lists(path.map(lambda tail: f"https://h.invalid/{tail}"), min_size=1, max_size=4))
def test_one_url_a_cell_is_never_split(urls: list[str]) -> None:
    found = guess_separator(urls)
    assert found is None or all(len(split(url, found.value)) == 1 or "//" in url[8:] for url in urls)


@given(st.lists(st.from_regex(r"https://h\.invalid/[a-z]{1,8}\.jpg", fullmatch=True), min_size=2, max_size=5))
def test_urls_that_are_joined_are_found_again(urls: list[str]) -> None:
    for separator in ("|", ";", "\n", ",", " "):
        found = guess_separator([separator.join(urls)])
        assert found
        assert split(separator.join(urls), found.value) == urls


def test_the_folder_of_pictures_is_the_one_that_has_them(tmp_path: Path) -> None:
    (tmp_path / "pub/media/catalog/product/w/b").mkdir(parents=True)
    (tmp_path / "pub/media/catalog/product/w/b/x y.jpg").touch()
    (tmp_path / "bilder").mkdir()
    (tmp_path / "bilder/a.jpg").touch()
    cells = ["/w/b/x%20y.jpg", "https://h/a.jpg", "data:image/png;base64,AA", "b.jpg"]
    paths = local_paths(cells, None)
    assert paths == ["w/b/x%20y.jpg", "b.jpg"]
    assert picture_folder(str(tmp_path), paths)[:2] == (f"{tmp_path}/pub/media/catalog/product", 1)
    assert picture_folder(str(tmp_path), ["a.jpg"]).value == f"{tmp_path}/bilder"
    assert picture_folder(str(tmp_path), ["c.jpg", "\0"]) == (str(tmp_path), 0, 2)


@pytest.mark.parametrize(
    ("file", "template"),
    [
        ("images/0108775015.jpg", "images/{article}.jpg"),
        ("0108775015.PNG", None),
        ("0108775015.png", "{article}.png"),
        ("images/010/0108775015.jpg", "images/{article:.3}/{article}.jpg"),
    ],
)
def test_a_template_is_found_by_the_files_that_it_names(tmp_path: Path, file: str, template: str | None) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).touch()
    found = picture_template(str(tmp_path), "article", ["0108775015", "../x", "a\0"])
    assert (found.value if found else None) == template
