import io
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from catalog_io.pictures.fetching.root import PictureRoot
from catalog_io.pictures.fetching.settings import FetchSettings
from catalog_io.pictures.work import PICTURE_DONE, PICTURE_WORK, process_pictures

OPEN = FetchSettings(allow_private=("127.0.0.1",))


def jpeg(color: str = "red", **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 80), color).save(out, "JPEG", **options)
    return out.getvalue()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(jpeg("red"))
    (tmp_path / "b.jpg").write_bytes(jpeg("blue"))
    (tmp_path / "broken.jpg").write_bytes(jpeg()[:-100])
    return tmp_path


@pytest.mark.parametrize("threads", [1, 4])
def test_one_row_out_for_each_row_in(folder: Path, threads: int) -> None:
    stamp = PictureRoot(str(folder), OPEN).stamp("b.jpg")
    bad_exif = jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    rows = [
        ("k1", "a.jpg", "", None),
        ("k2", "none.jpg", "old", None),
        ("k3", "b.jpg", stamp, None),
        ("k4", "b.jpg", "old", None),
        ("k5", "broken.jpg", "", None),
        ("k6", "row 6", "s6", jpeg("green")),
        ("k7", "row 7", "s7", b""),
        ("k8", "http://ann:pa55@[/a.jpg?token=pa55", "", None),
        ("k9", "", "", None),
        ("k10", "row 10", "", bad_exif),
    ]
    done = process_pictures(
        pl.DataFrame(rows, schema=PICTURE_WORK, orient="row"), str(folder), OPEN, short_side=32, threads=threads
    )
    assert done.schema == PICTURE_DONE and done["key"].to_list() == [row[0] for row in rows]
    assert done["code"].to_list() == [
        *(None, "picture_not_found", None, None, "picture_truncated"),
        *(None, "picture_empty", "picture_not_found", "picture_not_found", None),
    ]
    assert done["image_hash"].is_null().to_list() == [row in (1, 2, 4, 6, 7, 8) for row in range(10)]
    picture = shrink(jpeg("red"), short_side=32)
    assert done.row(0, named=True) == {
        **{"key": "k1", "uri": "a.jpg", "stamp": PictureRoot(str(folder), OPEN).stamp("a.jpg")},
        **{"image_hash": picture.hash, "jpeg": picture.jpeg, "width": 32, "height": 40},
        **{"perceptual_hash": picture.perceptual_hash, "note": "it has one colour", "code": None, "sentence": None},
    }
    stamps = dict(done.select("key", "stamp").iter_rows())
    assert stamps["k2"] == "" and stamps["k3"] == stamps["k4"] == stamp and stamps["k6"] == "s6"
    assert stamps["k5"] == PictureRoot(str(folder), OPEN).stamp("broken.jpg")
    assert "pa55" not in done.select("uri", "sentence").write_csv()


def test_no_rows(folder: Path) -> None:
    done = process_pictures(pl.DataFrame(schema=PICTURE_WORK), str(folder), OPEN, short_side=32)
    assert done.schema == PICTURE_DONE and done.height == 0


def test_the_filters_of_others_stay_as_they_are(folder: Path) -> None:
    work = pl.DataFrame([("k", "a.jpg", "", None)], schema=PICTURE_WORK, orient="row")
    process_pictures(work, str(folder), OPEN, short_side=32)
    filters = len(warnings.filters)
    process_pictures(work, str(folder), OPEN, short_side=32, threads=2)
    assert len(warnings.filters) == filters
    with pytest.raises(UserWarning):
        warnings.warn("ours", UserWarning, stacklevel=1)


def test_pictures_from_a_web_server(folder: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        rows = [("k1", "a.jpg", "", None), ("k2", f"{url}/b.jpg", "", None), ("k3", "none.jpg", "", None)]
        work = pl.DataFrame(rows, schema=PICTURE_WORK, orient="row")
        first = process_pictures(work, url, OPEN, short_side=32, threads=2)
        assert first["code"].to_list() == [None, None, "picture_http_status"]
        second = process_pictures(work.with_columns(stamp=first["stamp"]), url, OPEN, short_side=32)
        assert second["image_hash"].to_list() == [None] * 3 and second["code"].to_list() == first["code"].to_list()
        assert second["stamp"].to_list() == first["stamp"].to_list()
        server.shutdown()
