"""HEIC, where `pillow-heif` is installed and where it is not."""

import sys

import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding import heif
from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.colour_maths import SPACES, distance, profile, srgb_of
from tests.catalog_io.pictures.decoding.made_pictures import encoded, is_color, pixels
from tests.catalog_io.pictures.decoding.test_colours import mean

# The beginning of an iPhone's picture.
HEAD = b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHBMiPrmiafMiHEheic" + bytes(200)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1"])
def test_without_the_library_the_reason_names_it(monkeypatch: pytest.MonkeyPatch, brand: bytes) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heif._is_registered.cache_clear()
    try:
        with pytest.raises(PictureError) as fault:
            shrink(HEAD.replace(b"heic", brand, 1))
    finally:
        heif._is_registered.cache_clear()
    assert fault.value.code == "picture_format_not_allowed" and "cma-tagger[heif]" in fault.value.sentence


def heic(image: Image.Image, **options: object) -> bytes:
    pytest.importorskip("pillow_heif").register_heif_opener()
    return encoded(image, "HEIF", quality=95, **options)


def test_a_picture() -> None:
    picture = shrink(heic(Image.new("RGB", (300, 600), (200, 30, 60))))
    assert (picture.width, picture.height) == (256, 512) and is_color(picture, (200, 30, 60), 6)


def test_its_profile() -> None:
    space = "Display P3"
    data = heic(Image.new("RGB", (300, 600), (200, 30, 60)), icc_profile=profile(space))
    assert distance(mean(shrink(data)), srgb_of((200, 30, 60), *SPACES[space])) < 3


def test_it_is_turned_once() -> None:
    image = Image.new("RGB", (400, 300), "white")
    image.paste((200, 30, 60), (0, 0, 200, 300))
    turned = Image.Exif()
    turned[0x0112] = 6
    picture = shrink(heic(image, exif=turned.tobytes()))
    assert (picture.width, picture.height) == (256, 341)
    assert np.abs(pixels(picture)[30, 128] - (200, 30, 60)).max() < 12
    assert pixels(picture)[300, 128].min() > 240


def test_damaged_data() -> None:
    data = heic(Image.effect_noise((300, 300), 80).convert("RGB"))
    for cut in (data[: len(data) // 2], data[:60], HEAD):
        with pytest.raises(PictureError) as fault:
            shrink(cut)
        assert fault.value.code == "picture_truncated"


def test_transparency_everywhere() -> None:
    with pytest.raises(PictureError, match="picture_blank"):
        shrink(heic(Image.new("RGBA", (300, 300), (200, 30, 60, 0))))
