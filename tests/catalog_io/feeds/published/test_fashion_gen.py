"""Fashion-Gen in its published layout."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from catalog_io.feeds.published import fashion_gen
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from tests.catalog_io.feeds.published.published_files import (
    example,
    fashion,
    gen_columns,
    gen_pictures,
    read,
    write_gen,
)
from tests.flows.ingestion.ingested import run, select


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
    # The picture of the row without a title is stored too, since such a row may continue a listing.
    assert (summary.pictures_new, summary.picture_faults) == (6, {})
    assert summary.labels["subcategory"].outside_words == {"NO SUCH": 1}
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
