"""UPMC Food-101 in its published layout."""

from codecs import BOM_UTF8
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import UserError
from tests.catalog_io.feeds.published.published_files import FOOD_TEST, FOOD_TRAIN, example, food_101, read
from tests.flows.ingestion.ingested import run, select


def test_food_101_as_it_is_published(tmp_path: Path) -> None:
    frame = read("upmc-food-101", food_101(tmp_path / "data", FOOD_TRAIN, FOOD_TEST), labels={"food": "label"})
    assert frame["row_number"].to_list() == list(range(1, 9))
    assert frame.row(1, named=True) == {
        "row_number": 2,
        "listing_id": "train/apple_pie_1.jpg",
        "product_id": "train/apple_pie_1.jpg",
        "title": 'Pie, apple, "the best"',
        "split": "train",
        "pictures": [{"uri": "images/train/apple_pie/apple_pie_1.jpg", "data": None}],
        "label_word_food": "apple_pie",
        "raw": '{"file":"apple_pie_1.jpg","title":"Pie, apple, \\"the best\\"","label":"apple_pie"}',
        "fault": None,
    }
    assert frame.row(7, named=True)["listing_id"] == "test/apple_pie_0.jpg"
    assert frame["split"].to_list()[-1] == "test"
    assert frame["fault"].to_list() == [
        *[None] * 4,
        "not UTF-8 text",
        "4 cells where there are 3 columns",
        *[None] * 2,
    ]


def test_food_101_is_ingested_by_its_example(tmp_path: Path, shared_workers: None) -> None:
    project = example("food-101", tmp_path / "project")
    there = ("train/apple_pie/apple_pie_0.jpg", "train/apple_pie/apple_pie_1.jpg", "train/sushi/sushi_0.jpg")
    food_101(project / "food-101", FOOD_TRAIN, FOOD_TEST, (*there, "test/apple_pie/apple_pie_0.jpg"))
    summary = run(project)
    assert (summary.read, summary.accepted, summary.rejected) == (8, 5, 3)
    assert summary.reasons == {"row_unreadable": 2, "title_missing": 1}
    assert (summary.pictures_new, summary.without_picture) == (4, 1)
    assert all(labels.outside == labels.unusable == 0 for labels in summary.labels.values())
    assert summary.picture_faults == {"picture_not_found": 1}
    labels = "select listing_id, split, value from listings join labels using (listing_id) order by 1"
    assert select(project, labels) == [
        ("test/apple_pie_0.jpg", "test", "apple pie"),
        ("train/apple_pie_0.jpg", "train", "apple pie"),
        ("train/apple_pie_1.jpg", "train", "apple pie"),
        ("train/sushi_0.jpg", "train", "sushi"),
        ("train/sushi_3.jpg", "train", "sushi"),
    ]
    again = run(project)
    assert (again.unchanged, again.inserted, again.updated, again.pictures_worked) == (5, 0, 0, 0)


@pytest.mark.parametrize("missing", ["train", "test"])
def test_a_missing_part_of_food_101_is_named(tmp_path: Path, missing: str) -> None:
    folder = food_101(tmp_path, FOOD_TRAIN, FOOD_TEST)
    (folder / "texts" / f"{missing}_titles.csv").unlink()
    with pytest.raises(UserError, match=rf"texts/{missing}_titles\.csv.*has texts/train_titles\.csv and texts/test_"):
        read("upmc-food-101", folder)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=8),
    st.lists(st.binary(max_size=20), max_size=4),
    st.integers(1, 5),
)
def test_every_row_of_food_101_arrives_once(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], rubbish: list[bytes], batch: int
) -> None:
    """Rows of any text are told apart from rubbish, however they are batched."""
    quoted = "".join('"{}","{}",sushi\n'.format(*(c.replace('"', '""') for c in row)) for row in rows)
    body = quoted.encode("utf-8", "surrogatepass")
    lines = [line for line in rubbish if line.removeprefix(BOM_UTF8).strip() and not set(line) & set(b'\r\n"')]
    folder = food_101(tmp_path_factory.mktemp("food"), body, b"\n".join(lines))
    frames = read("upmc-food-101", folder, batch) if rows or lines else pl.DataFrame({"row_number": []})
    assert frames.height == len(rows) + len(lines)
