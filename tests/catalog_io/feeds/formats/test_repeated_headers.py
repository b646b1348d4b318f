"""Files that were appended to, or put together from several, have headers between their rows."""

from pathlib import Path

import pytest

from tests.catalog_io.feeds.feed_files import read, write

HEADER = "id,name,pic\n"


@pytest.mark.parametrize(
    "again", [HEADER, "ID,Name,Pic\n", "\ufeffid,name,pic\n", '\ufeff"id","name","pic"\n', " id , name,pic\n"]
)
def test_a_header_among_the_rows_is_no_listing(tmp_path: Path, again: str) -> None:
    frame = read(write(tmp_path / "a.csv", HEADER + "1,A,a\n" + again + "2,B,b\n" + again))
    assert frame["listing_id"].to_list() == ["1", None, "2", None]
    assert frame["fault"].to_list() == [None, "it repeats the header", None, "it repeats the header"]


def test_rows_after_a_header_in_another_order_are_rejected(tmp_path: Path) -> None:
    body = HEADER + "1,A,a\n" + "pic,name,id\n" + "b,B,2\n" * 3 + HEADER + "3,C,c\n"
    path = write(tmp_path / "a.csv", body)
    frame = read(path)
    assert frame["listing_id"].to_list() == ["1", None, None, None, None, None, "3"]
    assert frame["fault"][1] == "it is a header with other columns: make two files of this one"
    assert frame["fault"][2] == "it follows a header with other columns (pic, name, id): make two files of this one"


def test_the_other_header_may_have_more_columns_and_stand_in_another_batch(tmp_path: Path) -> None:
    body = HEADER + "1,A,a\n" * 10_005 + "name,id,pic,color\nB,2,b,red\nB,2,b\n"
    frame = read(write(tmp_path / "a.csv", body))
    assert frame["fault"].null_count() == 10_005
    assert [fault[:30] for fault in frame["fault"].to_list()[-3:]] == [
        "it is a header with other colu",
        "4 cells where there are 3 colu",
        "it follows a header with other",
    ]


def test_a_listing_may_have_the_name_of_a_column(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", HEADER + "id,A,a\nname,B,b\nID,name,\n"))["fault"].null_count() == 3
