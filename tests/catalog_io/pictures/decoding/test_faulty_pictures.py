"""Pictures that cannot be used: each is refused with its code."""

import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.made_pictures import NOISE, bad_crc, encoded, is_color, png_header

FAULTS = {
    "zero bytes": (b"", "picture_empty"),
    "html": (b"<!DOCTYPE html><html><body>404</body></html>", "picture_unreadable"),
    "svg": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "picture_unreadable"),
    "garbage": (bytes(range(256)) * 4, "picture_unreadable"),
    "truncated jpeg": (encoded(NOISE, "JPEG")[:1500], "picture_truncated"),
    "truncated jpeg header": (encoded(NOISE, "JPEG")[:30], "picture_truncated"),
    "truncated webp": (encoded(NOISE, "WEBP")[:500], "picture_truncated"),
    "truncated gif": (encoded(NOISE, "GIF")[:1500], "picture_truncated"),
    "png, bad data": (
        encoded(NOISE, "PNG")[:200] + bytes(200) + encoded(NOISE, "PNG")[400:],
        "picture_truncated",
    ),
    "png, bad data crc": (bad_crc(encoded(NOISE, "PNG"), b"IDAT"), "picture_truncated"),
    "png, bad header crc": (bad_crc(encoded(NOISE, "PNG"), b"IHDR"), "picture_truncated"),
    "bomb": (png_header(30_000, 30_000), "picture_too_large"),
    "small bomb, where Pillow only warns": (png_header(10_000, 9_500), "picture_too_large"),
    "1x1": (encoded(Image.new("RGB", (1, 1)), "PNG"), "picture_too_small"),
    "15x400": (encoded(Image.new("RGB", (15, 400)), "PNG"), "picture_too_small"),
    "65000x2": (encoded(Image.new("RGB", (65_000, 2)), "PNG"), "picture_too_small"),
    "400x16": (encoded(Image.new("RGB", (400, 16)), "PNG"), "picture_extreme_shape"),
    "tiff": (encoded(NOISE, "TIFF"), "picture_format_not_allowed"),
    "ico": (encoded(NOISE, "ICO"), "picture_format_not_allowed"),
    "pdf": (b"%PDF-1.7", "picture_format_not_allowed"),
    "heic": (
        b"\0\0\0\x18ftypheic" + bytes(50),
        "picture_truncated" if find_spec("pillow_heif") else "picture_format_not_allowed",
    ),
    "too many bytes": (b"x" * 50_000_001, "picture_too_many_bytes"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_pictures(name: str) -> None:
    data, code = FAULTS[name]
    with pytest.raises(PictureError) as fault:
        shrink(data)
    assert fault.value.code == code
    assert len(fault.value.sentence) > 10


def test_faults_do_not_depend_on_warnings_being_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, (data, code) in FAULTS.items():
            with pytest.raises(PictureError) as fault:
                shrink(data)
            assert (name, fault.value.code) == (name, code)


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert is_color(shrink(data), (254, 0, 0))


def test_damaged_pictures_in_hundreds(tmp_path: Path) -> None:
    """The first 500 damaged pictures of `fuzz_pictures.py` beside this file."""
    fuzz = [sys.executable, str(Path(__file__).with_name("fuzz_pictures.py")), "--failures", str(tmp_path / "failures")]
    done = subprocess.run([*fuzz, "--items", "500", "--minutes", "0.5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"a picture"' in done.stdout and '"picture_truncated"' in done.stdout
