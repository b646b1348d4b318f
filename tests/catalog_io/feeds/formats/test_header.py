"""The header of a CSV file: after Excel's sep= line, after lines of a report, or by the setting header_line."""

from pathlib import Path

import pytest

from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from tests.catalog_io.feeds.feed_files import feed, read, write

ROWS = "id;name;pic;price\r\n1;Röd, klänning;a.jpg;19,90\r\n2;Kjol;b.jpg;9,90\r\n"


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [
        ("sep=;\r\n", ";"),
        ("\ufeffsep=;\r\n", ";"),
        ('"sep=;"\r\n', ";"),
        ('\ufeff"sep=;"\n', ";"),
        ("SEP=;\r", ";"),
        ("sep=;;;;\n", ";"),
        ("\r\nsep=;\r\n\r\n", ";"),
        ("sep=\t\n", "\t"),
        ("sep=\\t\n", "\t"),
        ("sep=^\n", "^"),
        ("sep=,\n", ","),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_the_line_of_excel_sets_the_delimiter(tmp_path: Path, line: str, delimiter: str, encoding: str) -> None:
    rows = ROWS.replace(",", "·").replace(";", delimiter)
    path = write(tmp_path / "a.csv", (line + rows).encode(encoding))
    assert read(path)["title"].to_list() == ["Röd· klänning", "Kjol"]
    assert feed_shape(FeedSettings("m", str(path))).columns == ["id", "name", "pic", "price"]


def test_a_column_may_be_called_sep(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "sep=x,id,name,pic\n0,1,A,a\n"))["title"].to_list() == ["A"]


PREAMBLE = "Product report,2026-01-01,,\n\nid,name,pic,color\n1,Red dress,a.jpg,Red\n"
AMAZON = (
    "TemplateType=fptcustom\tVersion=2026.0101\tThe top 3 rows are for Amazon.com use only\t\n"
    "Seller SKU\tProduct Name\tMain Image URL\tColor\nid\tname\tpic\tcolor\nA1\tRed dress\ta.jpg\tRed\n"
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", PREAMBLE),
        ("a.txt", AMAZON),
        ("a.csv", "Products\n\n" + ROWS),
        ("a.csv", 'Exported by "Shop", on 1/1\r\n"Rows: 2"\r\n' + ROWS),
        ("a.tsv", "a\tb\n\nid\tname\tpic\n1\tRed dress\ta.jpg\n"),
    ],
)
def test_a_header_further_down_is_named_and_can_be_set(tmp_path: Path, name: str, content: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(UserError, match=r"line 1 does not name the mapped columns, line 3 does: set header_line = 3"):
        read_feed(feed(path))
    assert read(path, header_line=3)["title"][0] in ("Red dress", "Röd, klänning")
    if content[:3] != "a\tb":
        shape = feed_shape(FeedSettings("m", str(path)))
        assert (shape.header_line, shape.columns[:3]) == (3, ["id", "name", "pic"])


@pytest.mark.parametrize(
    "content",
    [
        "id,name,pic\n1,Red dress,a.jpg\n",
        ",id,name,pic\n0,1,Red dress,a.jpg\n",
        "id,name,pic,,,\n1,Red dress,a.jpg,,,\n,,,,,\n",
        "id,name\nA1,Red\nB1,Blue\n",
        "id\tname\nA1\tRed, long, dress\nB1\tBlue, short, dress\n",
        "id;name;pic\nA;long, red, wide;a\nB;short, blue, narrow;b\n",
        "id\nA\nB\n",
        "id,name,pic\n",
    ],
)
def test_a_header_in_the_first_line_stays_there(tmp_path: Path, content: str) -> None:
    assert feed_shape(FeedSettings("m", str(write(tmp_path / "a.csv", content)))).header_line is None


def test_wrong_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", PREAMBLE)
    with pytest.raises(
        UserError, match=r"there is no line 9, which must name the columns; correct feeds\.hm\.header_line"
    ):
        read_feed(feed(path, header_line=9))
    with pytest.raises(UserError, match=r"line 4 does not name the mapped columns, line 3 does: set header_line = 3"):
        read_feed(feed(path, header_line=4))
    for settings in ({"escape": "||"}, {"escape": '"'}, {"escape": ",", "delimiter": ","}):
        with pytest.raises(ConfigurationError, match=r"feeds\.hm\.escape"):
            read_feed(feed(path, **settings))


def test_invisible_characters_in_names_do_not_hide_a_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "\ufeff\u200bid,na\u00adme,\u202apic\u202c\n1,A,a\n")
    assert read(path)["title"].to_list() == ["A"]


@pytest.mark.parametrize("mark", ["\ufeff\ufeff", "ï»¿", "\ufeffï»¿"])
@pytest.mark.parametrize("header", ["id,name,pic", '"id","name","pic"'])
def test_several_byte_order_marks(tmp_path: Path, mark: str, header: str) -> None:
    assert read(write(tmp_path / "a.csv", f"{mark}{header}\n1,A,a\n"))["title"].to_list() == ["A"]


def test_a_feed_that_lost_a_column_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no column 'name'"):
        read_feed(feed(write(tmp_path / "a.csv", "id,title,pic\n1,name,a\n")))
