"""`cma init` writes a project that `cma ingest` runs, or says what to do: for any header and rows."""

import csv
import io
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import read_feed
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from flows.cli.init.starter import write_starter
from flows.project.project import Project
from schemas.cells.null_words import NullWords
from schemas.errors import UserError
from schemas.validation import split_valid
from tests.flows.cli.init.example_exports import EXPORTS

USUAL = (
    *("id", "sku", "Handle", "title", "Name", "name-en_US", "image", "Image Src", "images", "image_1", "color"),
    *("Colour", "pattern", "Type", "product_type", "category", "item_group_id", "parent", "family", "enabled"),
    *("Option1 Name", "Option1 Value", "Attribute 1 name", "Attribute 1 value(s)", "additional_attributes"),
    *("base_image", "store_view_code", "g:id", "image_link", "price", "", "{id}", "title {0}", "a*b", "id.x"),
)
cell = st.one_of(
    st.sampled_from(
        (
            *(
                "",
                "1",
                "Red",
                "RED",
                "red",
                "simple",
                "a.jpg",
                "b.jpg,c.jpg",
                "https://h.invalid/a,https://h.invalid/b",
            ),
            *("Color", "color=Red,size=M", "A > B", '["a.jpg"]', "nan", "id:1", "{}", "[", '{"en": "x"}', "../x", "\0"),
        )
    ),
    st.text(max_size=8),
)
names = st.lists(st.one_of(st.sampled_from(USUAL), st.text(max_size=6)), min_size=1, max_size=9)


@st.composite
def tables(draw: st.DrawFn) -> str:
    header = draw(st.one_of(names, names.map(lambda more: ["id", "title", "image", *more])))
    width = len(header)
    rows = draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=30))
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows, *rows[:5] * draw(st.integers(0, 10))])
    return stream.getvalue()


def check(body: str, name: str = "feed.csv") -> None:
    with tempfile.TemporaryDirectory() as folder:
        feed = Path(folder) / name
        feed.write_bytes(body.encode("utf-8", "surrogatepass"))
        try:
            config = write_starter(Path(folder), str(feed)).config
        except UserError as fault:
            assert str(fault).strip()
            assert [path.name for path in Path(folder).iterdir()] == [name]
            return
        ingest_without_pictures(Project.open(config))


def ingest_without_pictures(project: Project) -> None:
    """All that `cma ingest` does with a feed before it fetches pictures."""
    (feed,) = project.settings.feeds.values()
    assert set(feed.labels) <= set(project.taxonomy.names)
    staging, read = Staging(project.home, feed.name, tuple(feed.labels)), 0
    null_words = NullWords.of(feed.null_words, project.taxonomy)
    with staging.held(), PictureRoot(feed.images, project.settings.fetch) as root:
        root.check()
        for rows in read_feed(feed):
            staging.add(split_valid(rows, null_words))
            read += rows.height
        accepted = settle(staging)
        assert read == accepted + pl.read_parquet(staging.settled("rejections"), glob=False).height


@settings(max_examples=60)
@given(tables())
def test_any_table_makes_a_project_that_is_ingested_or_a_message(body: str) -> None:
    check(body)


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("lines", [1, 2, 3])
def test_the_beginning_of_each_export_makes_one_too(name: str, lines: int) -> None:
    check("\n".join(EXPORTS[name].splitlines()[:lines]) + "\n", name)
