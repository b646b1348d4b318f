"""`cma init`: its guesses about feeds such as merchants have, and that the project file it writes works."""

import gzip
import sqlite3
from pathlib import Path

import polars as pl
import pytest

from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.starter import write_starter
from flows.project.settings import load_settings
from schemas.errors import ConfigurationError, UserError


def started(folder: Path, source: str, query: str | None = None) -> FeedSettings:
    """The feed's settings as they are loaded; the feed can be read with them."""
    config = write_starter(folder, source, query).config
    feed = load_settings(config).feeds["mine"]
    frames = list(read_feed(feed))
    assert frames
    assert all(frame["fault"].null_count() == frame.height for frame in frames)
    return feed


def test_without_a_feed_it_writes_a_project_to_fill_in(tmp_path: Path) -> None:
    config, taxonomy, _ = write_starter(tmp_path / "new", None)
    assert load_settings(config).feeds["mine"].columns == {"listing_id": "id", "title": "title", "image": "image"}
    assert taxonomy.is_file()
    assert "# Share of accepted tags that must be right." in config.read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="--query"):
        write_starter(tmp_path / "other", None, "select 1")


def test_notes_say_what_is_uncertain(tmp_path: Path) -> None:
    body = "id;sku;title;image;colour\n1;a;Röd;https://h/a.jpg|https://h/b.jpg;Röd\n".encode("windows-1252")
    (tmp_path / "feed.csv").write_bytes(body)
    feed = started(tmp_path, str(tmp_path / "feed.csv"))
    assert (feed.encoding, feed.delimiter, feed.image_separator) == ("windows-1252", ";", "|")
    text = (tmp_path / "cma.toml").read_text(encoding="utf-8")
    assert '# listing_id: "id" has the likeliest name; "sku" would also fit' in text
    assert "# encoding: the file is not UTF-8; windows-1252 is guessed" in text
    assert '# delimiter: ";" splits the first line' in text
    assert '# image_separator: "|" separates what' in text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "windows-1252"])
def test_encodings_are_guessed_without_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    for name, body in (
        ("a.csv", "id,title,image,färg\n1,Röd,a.jpg,x\n"),
        ("a.jsonl", '{"id": 1, "title": "Röd", "image": "a"}\n'),
    ):
        (tmp_path / name).write_bytes(body.encode(encoding))
        assert started(tmp_path / name.replace(".", "-"), str(tmp_path / name)).encoding == encoding


def test_names_are_escaped_for_toml(tmp_path: Path) -> None:
    name = 'Colour "\\👗\x7f'.replace('"', '""')
    (tmp_path / "feed.csv").write_text(f'id,title,image,"additional image","{name}"\n1,A,a.jpg,b.jpg,x\n')
    feed = started(tmp_path, str(tmp_path / "feed.csv"))
    assert feed.columns["image"] == ["image", "additional image"]
    odd = tmp_path / 'odd "\\👗\x7f.csv'
    odd.write_text("id,title,image\n1,A,a.jpg\n")
    assert started(tmp_path / "odd", str(odd)).source == str(odd)


def test_paths_are_relative_to_the_project_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "feed.csv.gz").write_bytes(gzip.compress(b"id,title,image\n1,A,a.jpg\n"))
    (tmp_path / "data" / "more.tsv").write_bytes(b"id\ttitle\timage\n1\tA\ta.jpg\n")
    feed = started(tmp_path / "project", "data/feed.csv.gz")
    assert Path(feed.source).resolve() == tmp_path / "data" / "feed.csv.gz"
    assert Path(feed.images).resolve() == tmp_path / "data"
    feed = started(tmp_path / "two", "data/*.tsv")
    assert feed.delimiter is None
    assert Path(feed.images).resolve() == tmp_path / "data"


def test_a_database_is_guessed_from_its_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    connection = sqlite3.connect("shop.db")
    connection.execute("create table t as select 1 as id, 'A' as title, 'a.jpg' as image, 'Navy Blue' as color")
    connection.commit()
    connection.close()
    feed = started(tmp_path / "project", "sqlite:///shop.db", "select *\nfrom t")
    assert feed.query == "select *\nfrom t"
    with pytest.raises(ConfigurationError, match=r"feeds\.mine\.query"):
        write_starter(tmp_path / "other", "sqlite:///shop.db")


def test_json_lines_and_pictures_in_parquet_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1, "title": "A", "images": ["a.jpg", "b.jpg"]}\n')
    assert started(tmp_path / "one", str(tmp_path / "a.jsonl")).columns["image"] == "images"
    rows = {"id": range(60), "title": "A", "image": [{"bytes": b"x", "path": None}] * 60, "color": ["Red"] * 60}
    pl.DataFrame(rows).write_parquet(tmp_path / "a.parquet")
    assert started(tmp_path / "two", str(tmp_path / "a.parquet")).labels == {"color": "color"}


def test_a_password_is_in_no_message(tmp_path: Path) -> None:
    with pytest.raises(UserError) as fault:
        write_starter(tmp_path, "postgresql+psycopg://me:s3cret@127.0.0.1:1/shop", "select 1")
    assert "s3cret" not in str(fault.value)
