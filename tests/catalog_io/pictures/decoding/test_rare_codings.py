"""Codings that few programs write: a picture, or a reason that names the coding."""

import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.made_pictures import NOISE, encoded, is_color

JPEG = encoded(NOISE, "JPEG")
FRAME = JPEG.index(b"\xff\xc0")


def jpeg_of(marker: int, precision: int) -> bytes:
    """A JPEG whose frame says that it is coded in another way."""
    return JPEG[: FRAME + 1] + bytes((marker,)) + JPEG[FRAME + 2 : FRAME + 4] + bytes((precision,)) + JPEG[FRAME + 5 :]


@pytest.mark.parametrize(
    ("marker", "precision", "coding"),
    [
        (0xC0, 12, "12-bit"),
        (0xC1, 12, "12-bit"),
        (0xC2, 12, "12-bit"),
        (0xC3, 8, "lossless"),
        (0xC5, 8, "hierarchical"),
    ],
)
def test_the_reason_names_the_coding(marker: int, precision: int, coding: str) -> None:
    with pytest.raises(PictureError, match=f"the file is a {coding} JPEG") as fault:
        shrink(jpeg_of(marker, precision))
    assert fault.value.code == "picture_format_not_allowed"


@pytest.mark.parametrize("marker", [0xC9, 0xCA])
def test_an_arithmetic_coded_jpeg_is_a_picture_or_has_a_reason(marker: int) -> None:
    try:
        picture = shrink(jpeg_of(marker, 8))
        assert (picture.width, picture.height) == NOISE.size
    except PictureError as fault:
        assert "arithmetic-coded" in fault.sentence or fault.code == "picture_truncated"


def test_the_first_frame_that_shows_something_stands_for_an_avif_sequence() -> None:
    frames = [Image.new("RGB", (100, 120), colour) for colour in ("white", "red", "blue")]
    data = encoded(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100)
    assert data[4:12] == b"ftypavis" and is_color(shrink(data), (255, 0, 0), 12)
    with pytest.raises(PictureError, match="cut off or damaged"):
        shrink(data[: len(data) // 2])
