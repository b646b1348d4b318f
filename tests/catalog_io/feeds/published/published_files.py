"""Tiny files in the layouts of UPMC Food-101 and Fashion-Gen, and copies of their example projects."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
from PIL import Image

from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
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


def example(name: str, folder: Path) -> Path:
    """A copy of an example project, beside which the data are to be put."""
    shutil.copytree(EXAMPLES / name, folder)
    return folder
