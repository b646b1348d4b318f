"""Published data sets in their published layouts, on tiny files made here, and the splits that they come with."""

import io
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import h5py
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from catalog_io.feeds.published import fashion_gen
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from flows.cli.starter import write_starter
from flows.ingestion.ingest import FeedSummary, ingest
from flows.modelling.labelled import labelled_listings
from flows.project.project import Project
from models.training.presets import PRESETS
from schemas.errors import ConfigurationError, UserError
from schemas.taxonomy import Taxonomy
from tests.places import EXAMPLES


def food_101(folder: Path, train: bytes, test: bytes, pictures: tuple[str, ...] = ()) -> Path:
    (folder / "texts").mkdir(parents=True)
    (folder / "texts" / "train_titles.csv").write_bytes(train)
    (folder / "texts" / "test_titles.csv").write_bytes(test)
    for seed, name in enumerate(pictures):
        path = folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 255, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((300, 400)).save(path, "JPEG")
    return folder


def gen_columns(rows: int) -> dict[str, Any]:
    """The datasets of a Fashion-Gen file, but for the pictures: two poses of each product."""
    text = {
        "input_brand": "Acné",
        "input_category": "TOPS",
        "input_composition": "100% cotton.",
        "input_concat_description": "Knit top",
        "input_department": "CLOTHING",
        "input_gender": "Women",
        "input_name": "Top",
        "input_pose": "id_gridfs_1",
        "input_season": "SS2017",
        "input_subcategory": "T-SHIRTS",
    }
    columns = {name: np.array([[value.encode("latin-1")]] * rows, dtype="S400") for name, value in text.items()}
    described = [[f"Description {row // 2}".encode()] for row in range(rows)]
    return columns | {
        "index": np.arange(rows, dtype=np.int64)[:, None],
        "index_2": np.arange(rows, dtype=np.int64),
        "input_description": np.array(described, dtype="S400").reshape(rows, 1),
        "input_msrpUSD": np.full((rows, 1), np.nan, dtype=np.float32),
        "input_productID": (1000 + np.arange(rows, dtype=np.int64) // 2)[:, None],
    }


def gen_pictures(rows: int, seed: int = 0) -> np.ndarray:
    """Smooth, so that JPEG keeps them nearly as they are."""
    corners = np.random.default_rng(seed).integers(0, 255, (rows, 2, 2, 3), dtype=np.uint8)
    big = [np.asarray(Image.fromarray(picture).resize((256, 256), Image.Resampling.BILINEAR)) for picture in corners]
    return np.array(big, dtype=np.uint8).reshape(rows, 256, 256, 3)


def write_gen(path: Path, columns: Mapping[str, Any], pictures: np.ndarray | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
        if pictures is not None:
            file["input_image"] = pictures


def fashion(folder: Path, train: int = 4, test: int = 2) -> Path:
    for name, rows, seed in (("train", train, 1), ("validation", test, 2)):
        write_gen(folder / f"fashiongen_256_256_{name}.h5", gen_columns(rows), gen_pictures(rows, seed))
    return folder


def read(layout: str, source: Path, batch_rows: int = 10_000, **options: Any) -> pl.DataFrame:
    feed = FeedSettings(
        "f", str(source), options.pop("columns", {}), options.pop("labels", {}), layout=layout, **options
    )
    return pl.concat(read_feed(feed, batch_rows=batch_rows))


def run(project: Path) -> FeedSummary:
    (summary,) = ingest(Project.open(project / "cma.toml"))
    assert summary.read == summary.accepted + summary.rejected
    return summary


def select(project: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(project / "warehouse" / "work.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def example(name: str, folder: Path) -> Path:
    """A copy of an example project, beside which the data are to be put."""
    shutil.copytree(EXAMPLES / name, folder)
    return folder


# ---- UPMC Food-101


FOOD_TRAIN = (
    b"apple_pie_0.jpg,Grandma's apple pie,apple_pie\n"
    b'apple_pie_1.jpg,"Pie, apple, ""the best""",apple_pie\n'
    b"apple_pie_2.jpg,,apple_pie\n"
    b"sushi_0.jpg,Cr\xc3\xa8me sushi,sushi\n"
    b"sushi_1.jpg,Caf\xe9 sushi,sushi\n"
    b"sushi_2.jpg,too,many,sushi\n"
    b"sushi_3.jpg,No picture of this,sushi\n"
)
FOOD_TEST = b"apple_pie_0.jpg,Another pie,apple_pie\n"


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
    assert (summary.pictures_new, summary.without_picture, summary.unknown_words) == (4, 1, {})
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


@settings(deadline=None, max_examples=25)
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
    lines = [line for line in rubbish if line.strip() and not set(line) & set(b'\r\n"')]
    folder = food_101(tmp_path_factory.mktemp("food"), body, b"\n".join(lines))
    frames = read("upmc-food-101", folder, batch) if rows or lines else pl.DataFrame({"row_number": []})
    assert frames.height == len(rows) + len(lines)


# ---- Fashion-Gen


def test_fashion_gen_as_it_is_published(tmp_path: Path) -> None:
    pictures = gen_pictures(4, seed=1)
    frame = read("fashion-gen", fashion(tmp_path), labels={"style": "input_subcategory"})
    assert frame.columns == [
        *("row_number", "listing_id", "product_id", "title", "split", "pictures", "label_word_style", "raw", "fault")
    ]
    assert frame["listing_id"].to_list() == ["train/0", "train/1", "train/2", "train/3", "test/0", "test/1"]
    assert frame["product_id"].to_list() == ["1000", "1000", "1001", "1001", "1000", "1000"]
    assert frame["title"].to_list()[2:4] == ["Description 1", "Description 1"]
    assert frame["label_word_style"].unique().to_list() == ["T-SHIRTS"]
    assert json.loads(frame["raw"][1]) == {
        "index": 1,
        "index_2": 1,
        "input_brand": "Acné",
        "input_category": "TOPS",
        "input_composition": "100% cotton.",
        "input_concat_description": "Knit top",
        "input_department": "CLOTHING",
        "input_description": "Description 0",
        "input_gender": "Women",
        "input_msrpUSD": None,
        "input_name": "Top",
        "input_pose": "id_gridfs_1",
        "input_productID": 1000,
        "input_season": "SS2017",
        "input_subcategory": "T-SHIRTS",
    }
    for row, (embedded,) in enumerate(frame["pictures"].to_list()[:4]):
        seen = np.asarray(Image.open(io.BytesIO(embedded["data"])), dtype=int)
        assert np.abs(seen - pictures[row]).mean() < 1


def test_fashion_gen_is_ingested_by_its_example(tmp_path: Path, shared_workers: None) -> None:
    project = example("fashion-gen", tmp_path / "project")
    folder = fashion(project / "fashion-gen")
    columns = gen_columns(4)
    columns["input_description"] = np.array([[b"A"], [b""], [b"Caf\xe9"], ["Café".encode()]])
    columns["input_subcategory"] = np.array([[b"T-SHIRTS"], [b"T-SHIRTS"], [b"V-NECKS"], [b"NO SUCH"]])
    write_gen(folder / "fashiongen_256_256_train.h5", columns, gen_pictures(4, seed=1))
    summary = run(project)
    assert (summary.read, summary.accepted, summary.reasons) == (6, 5, {"title_missing": 1})
    assert (summary.pictures_new, summary.picture_faults) == (5, {})
    assert summary.unknown_words == {"subcategory: NO SUCH": 1}
    assert select(project, "select listing_id, product_id, title, split from listings order by 1") == [
        ("test/0", "1000", "Description 0", "test"),
        ("test/1", "1000", "Description 0", "test"),
        ("train/0", "1000", "A", "train"),
        ("train/2", "1001", "Café", "train"),
        ("train/3", "1001", "Café", "train"),
    ]
    assert select(project, "select distinct width, height from images") == [(256, 256)]
    again = run(project)
    assert (again.unchanged, again.pictures_worked) == (5, 0)


def test_fashion_gen_is_read_slice_by_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large the slices, the rows are the same, and no more pictures are in memory than fit."""
    folder = fashion(tmp_path, train=5, test=1)
    whole = read("fashion-gen", folder)
    monkeypatch.setattr(fashion_gen, "BATCH_BYTES", 2 * 256 * 256 * 3)
    feed = FeedSettings("f", str(folder), {}, {}, layout="fashion-gen")
    frames = list(read_feed(feed))
    assert [frame.height for frame in frames] == [2, 2, 1, 1]
    assert pl.concat(frames).equals(whole)
    assert [frame.height for frame in read_feed(feed, batch_rows=1)] == [1] * 6


def test_the_text_of_a_title_can_be_another_dataset(tmp_path: Path) -> None:
    frame = read("fashion-gen", fashion(tmp_path), columns={"title": "input_name"})
    assert frame["title"].unique().to_list() == ["Top"]


def test_the_encoding_of_what_is_not_utf_8(tmp_path: Path) -> None:
    fashion(tmp_path)
    columns = gen_columns(1) | {"input_description": np.array([[b"\xdeal \xfdl"]])}
    write_gen(tmp_path / "fashiongen_256_256_train.h5", columns, gen_pictures(1))
    assert read("fashion-gen", tmp_path)["title"][0] == "Þal ýl"
    assert read("fashion-gen", tmp_path, encoding="iso-8859-9")["title"][0] == "Şal ıl"
    with pytest.raises(ConfigurationError, match=r"feeds\.f\.encoding"):
        read("fashion-gen", tmp_path, encoding="klingon")


@pytest.mark.parametrize(
    ("columns", "pictures", "said"),
    [
        (gen_columns(2), None, "there is no dataset 'input_image'; there are index, index_2, input_brand"),
        (gen_columns(2), np.zeros((2, 3, 256, 256), np.uint8), r"\(2, 3, 256, 256\) of uint8, where"),
        (gen_columns(2), np.zeros((2, 256, 256, 3), np.float32), "of float32, where"),
        (gen_columns(3), gen_pictures(2), "'input_description' does not have one value for each of the 2 pictures"),
        ({k: v for k, v in gen_columns(2).items() if k != "input_productID"}, gen_pictures(2), "'input_productID'"),
    ],
)
def test_what_is_wrong_with_a_fashion_gen_file(
    tmp_path: Path, columns: dict[str, Any], pictures: np.ndarray | None, said: str
) -> None:
    path = fashion(tmp_path) / "fashiongen_256_256_validation.h5"
    write_gen(path, columns, pictures)
    with pytest.raises(UserError, match=rf"fashiongen_256_256_validation\.h5.*{said}"):
        read_feed(FeedSettings("f", str(tmp_path), {}, {}, layout="fashion-gen"))


def test_a_fashion_gen_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    path = fashion(tmp_path) / "fashiongen_256_256_train.h5"
    whole = path.read_bytes()
    for body in (b"", b"<html>", whole[: len(whole) // 2]):
        path.write_bytes(body)
        with pytest.raises(UserError, match=r"fashiongen_256_256_train\.h5: this is not an HDF5 file"):
            read("fashion-gen", tmp_path)
    path.unlink()
    with pytest.raises(UserError, match=r"no file .*_train\.h5.*has fashiongen_256_256_train\.h5 and fashiongen_256"):
        read("fashion-gen", tmp_path)


# ---- layouts as settings


def test_settings_that_do_not_fit_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"feeds\.f\.layout.*'food'; there are upmc-food-101, fashion-gen"):
        read("food", tmp_path)
    with pytest.raises(ConfigurationError, match=r"feeds\.f\.delimiter: the layout fashion-gen has none"):
        read("fashion-gen", tmp_path, delimiter=";")
    food_101(tmp_path, FOOD_TRAIN, FOOD_TEST)
    with pytest.raises(UserError, match=r"there is no column 'dish'; the columns are: file, title, label"):
        read("upmc-food-101", tmp_path, labels={"food": "dish"})


def test_init_knows_a_published_data_set(tmp_path: Path) -> None:
    food_101(tmp_path / "data", FOOD_TRAIN, FOOD_TEST)
    with pytest.raises(UserError, match=r'layout = "upmc-food-101".*published-data\.md'):
        write_starter(tmp_path / "project", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("name", "taxonomy", "attribute", "values"),
    [
        ("food-101", "taxonomy.yaml", "food", 101),
        ("fashion-gen", "taxonomy.yaml", "subcategory", 121),
        ("fashion-gen", "category.yaml", "category", 48),
    ],
)
def test_the_examples_fit_the_published_labels(name: str, taxonomy: str, attribute: str, values: int) -> None:
    project = Project.open(EXAMPLES / name / "cma.toml")
    (feed,) = project.settings.feeds.values()
    assert feed.images == feed.source
    assert project.settings.model.preset == name
    known = Taxonomy.load(EXAMPLES / name / taxonomy)
    assert [(a.name, len(a.value_names)) for a in known.attributes] == [(attribute, values)]


@pytest.mark.parametrize("name", ["food-101", "fashion-gen"])
def test_presets_have_the_papers_schedule(name: str) -> None:
    paper, preset = PRESETS["vit-b-32"], PRESETS[name]
    assert (preset.name, preset.architecture, preset.pretrained) == (name, paper.architecture, "openai")
    assert (preset.stages, preset.batch, preset.weight_decay) == (paper.stages, 1024, 1e-4)


# ---- the splits that a feed gives


SPLIT_FEED = """\
[feeds.shop]
source = "feed.csv"
columns = { listing_id = "id", title = "title", image = "image", split = "part" }
labels = { color = "color" }
"""


def split_shop(folder: Path, parts: Mapping[str, str]) -> Path:
    rows = "".join(f"{listing},Dress,,red,{part}\n" for listing, part in parts.items())
    (folder / "feed.csv").write_text(f"id,title,image,color,part\n{rows}", encoding="utf-8")
    (folder / "cma.toml").write_text(SPLIT_FEED, encoding="utf-8")
    return folder


def test_a_feed_may_say_which_split_a_listing_belongs_to(tmp_path: Path) -> None:
    words = {
        "A": "train",
        "B": " TEST ",
        "C": "Dev",
        "D": "val",
        "E": "valid",
        "F": "calibration",
        "G": "",
        "H": "holdout",
    }
    summary = run(split_shop(tmp_path, words))
    assert summary.reasons == {"split_unknown": 1}
    stored = dict(select(tmp_path, "select listing_id, split from listings"))
    validation = dict.fromkeys(("C", "D", "E"), "validation")
    assert stored == {"A": "train", "B": "test", **validation, "F": "calibration", "G": None}
    ((raw, reason),) = select(tmp_path, "select raw, reason from rejections")
    assert json.loads(raw)["part"] == "holdout"
    assert reason == "the listing's split is none of train, validation, calibration, test, val, valid, dev"


def test_a_listing_that_changes_its_split_is_updated_and_keeps_its_input(tmp_path: Path) -> None:
    run(split_shop(tmp_path, {"A": "train", "B": "test"}))
    before = select(tmp_path, "select listing_id, input_hash from listings order by 1")
    summary = run(split_shop(tmp_path, {"A": "test", "B": "test"}))
    assert (summary.updated, summary.unchanged) == (1, 1)
    assert select(tmp_path, "select split from listings where listing_id = 'A'") == [("test",)]
    assert select(tmp_path, "select listing_id, input_hash from listings order by 1") == before


def test_a_feed_without_splits_is_stored_as_before(tmp_path: Path) -> None:
    """A listing that gives none has the row hash that it had before there were splits, so nothing is stored anew."""
    split_shop(tmp_path, {"A": ""})
    run(tmp_path)
    with_column = select(tmp_path, "select split, row_hash from listings")
    (tmp_path / "cma.toml").write_text(SPLIT_FEED.replace(', split = "part"', ""), encoding="utf-8")
    assert run(tmp_path).unchanged == 1
    assert select(tmp_path, "select split, row_hash from listings") == with_column
    assert with_column[0][0] is None


def test_training_learns_from_the_published_training_listings_only(tmp_path: Path) -> None:
    parts = {f"T{n}": "train" for n in range(300)} | {f"E{n}": "test" for n in range(50)}
    split_shop(tmp_path, parts)
    run(tmp_path)
    project = Project.open(tmp_path / "cma.toml")
    counts = Counter(labelled_listings(project).splits.tolist())
    assert counts["test"] == 50
    assert counts["train"] + counts["validation"] + counts["calibration"] == 300
    assert min(counts["validation"], counts["calibration"]) > 15
    assert len(labelled_listings(project, ("test",)).titles) == 50


def test_a_catalogue_of_before_splits_is_brought_up_to_date(tmp_path: Path) -> None:
    split_shop(tmp_path, {"A": "train", "B": "test"})
    run(tmp_path)
    with duckdb.connect(str(tmp_path / "warehouse" / "work.duckdb")) as connection:
        connection.execute("alter table listings drop column split")
    assert Project.open(tmp_path / "cma.toml").catalog.listings()["split"].to_list() == [None, None]
    (tmp_path / "feed.csv").write_text("id,title,image,color,part\nA,New,,red,train\nB,Dress,,red,test\n")
    run(tmp_path)
    assert select(tmp_path, "select split from listings where listing_id = 'A'") == [("train",)]
