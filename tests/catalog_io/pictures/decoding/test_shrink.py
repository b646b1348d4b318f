"""Pictures of every format and mode become small RGB pictures of the right colours."""

import hashlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from tests.catalog_io.pictures.decoding.made_pictures import encoded, is_color, pixels, raw_png, with_chunk
from tests.places import REAL_CATALOGUES

HM = REAL_CATALOGUES / "hm"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP"])
def test_formats(kind: str) -> None:
    picture = shrink(encoded(Image.new("RGB", (300, 600), (200, 30, 60)), kind))
    assert (picture.width, picture.height) == (256, 512)
    assert is_color(picture, (200, 30, 60), 6)
    assert picture.hash == hashlib.sha256(picture.jpeg).hexdigest()


@pytest.mark.parametrize(
    ("size", "stored"), [((800, 1000), (256, 320)), ((1000, 800), (320, 256)), ((100, 60), (100, 60))]
)
def test_the_short_side_shrinks_and_never_grows(size: tuple[int, int], stored: tuple[int, int]) -> None:
    for kind in ("JPEG", "PNG"):  # JPEG takes the short way through Image.draft
        picture = shrink(encoded(Image.new("RGB", size, "gray"), kind), short_side=256)
        assert (picture.width, picture.height) == stored


def test_shrinking_by_draft_looks_like_shrinking_in_full() -> None:
    y, x = np.mgrid[0:1000, 0:800]
    smooth = np.stack([x * 255 / 800, y * 255 / 1000, (x + y) % 400 * 0.6], axis=2).astype(np.uint8)
    image = Image.fromarray(smooth)
    difference = pixels(shrink(encoded(image, "JPEG", quality=95))) - pixels(shrink(encoded(image, "PNG")))
    assert abs(difference).mean() < 1.5


def test_cmyk() -> None:
    assert is_color(shrink(encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")), (255, 0, 0), 8)


def test_16_bits_are_divided_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    got = pixels(shrink(encoded(Image.fromarray(ramp), "PNG")))[:, :, 0]
    assert abs(got.mean(axis=0) - np.linspace(0, 255, 64)).max() < 6


def half_white(image: Image.Image, white: object) -> Image.Image:
    """Not all of a picture may be transparent."""
    image.paste(white, (32, 0, 64, 64))  # type: ignore[arg-type]
    return image


def test_transparency_lies_on_white() -> None:
    hidden = half_white(Image.new("RGBA", (64, 64), (255, 0, 0, 0)), (255, 255, 255, 255))
    assert is_color(shrink(encoded(hidden, "PNG")), (255, 255, 255))
    assert is_color(shrink(encoded(hidden, "WEBP", lossless=True, exact=True)), (255, 255, 255))
    assert is_color(shrink(encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG")), (127, 127, 127))
    gray = half_white(Image.new("LA", (64, 64), (0, 0)), (255, 255))
    assert is_color(shrink(encoded(gray, "PNG")), (255, 255, 255))


def test_palette_transparency_lies_on_white() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 255, 255, 255, 255])
    assert is_color(shrink(encoded(image, "PNG")), (0, 0, 255))
    half_white(image, 1)
    assert is_color(shrink(encoded(image, "PNG", transparency=0)), (255, 255, 255))
    assert is_color(shrink(encoded(image, "PNG", transparency=b"\0\xff")), (255, 255, 255))
    assert is_color(shrink(encoded(image, "GIF", transparency=0)), (255, 255, 255))
    key = half_white(Image.new("RGB", (64, 64), (9, 9, 9)), (255, 255, 255))
    assert is_color(shrink(encoded(key, "PNG", transparency=(9, 9, 9))), (255,) * 3)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white(mode: str) -> None:
    assert is_color(shrink(encoded(Image.new(mode, (64, 64), 255), "PNG")), (255, 255, 255))


def test_16_bits_of_other_kinds() -> None:
    values = np.full((32, 32), 30_000, np.uint16)
    values[:, 16:] = 65_535
    hidden = shrink(with_chunk(encoded(Image.fromarray(values), "PNG"), b"tRNS", struct.pack(">H", 30_000)))
    assert is_color(hidden, (255, 255, 255))
    assert is_color(shrink(raw_png(2, np.full((32, 32, 3), (65535, 0, 32768), ">u2"))), (255, 0, 128), 6)
    half_clear = np.full((32, 32, 2), (0, 0), ">u2")
    half_clear[:, 16:] = 65_535
    assert is_color(shrink(raw_png(4, half_clear)), (255, 255, 255))
    assert is_color(shrink(raw_png(6, np.full((32, 32, 4), (0, 0, 0, 32768), ">u2"))), (127, 127, 127))


def test_adobe_inverted_cmyk() -> None:
    data = encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")
    assert b"Adobe" in data
    picture = shrink(data)
    assert is_color(picture, (255, 0, 0), 8) and picture.jpeg != data


@pytest.mark.parametrize("side", [64, 2600])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "RGBA", "I;16"])
def test_large_pictures_give_the_same_result_as_small_ones(mode: str, side: int) -> None:
    y, x = np.mgrid[0:side, 0:side]
    ramp = Image.fromarray((x * 255 // (side - 1)).astype(np.uint8))
    alpha = Image.fromarray((y * 255 // (side - 1)).astype(np.uint8))
    if mode == "I;16":
        image = Image.fromarray((x * 65535 // (side - 1)).astype(np.uint16))
    elif mode in ("LA", "RGBA"):
        image = ramp.convert(mode)
        image.putalpha(alpha)
    else:
        image = ramp.convert(mode)
    got = pixels(shrink(encoded(image, "PNG", compress_level=1), short_side=32))[:, :, 1]
    places = (np.arange(32) + 0.5) / 32
    expected = np.tile(places * 255, (32, 1))
    if mode in ("LA", "RGBA"):
        expected = 255 - (255 - expected) * places[:, None]
    assert abs(got.mean(axis=0) - expected.mean(axis=0)).max() < (25 if mode == "1" else 5)
    assert abs(got.mean(axis=1) - expected.mean(axis=1)).max() < (25 if mode == "1" else 5)


@pytest.mark.skipif(not HM.exists(), reason="the real catalogues are beside the project")
def test_real_pictures() -> None:
    for path in sorted((HM / "images").iterdir())[:50]:
        data = path.read_bytes()
        picture = shrink(data)
        stored, came = Image.open(io.BytesIO(picture.jpeg)), Image.open(io.BytesIO(data))
        assert np.array_equal(np.asarray(stored), np.asarray(came.convert("RGB")))
