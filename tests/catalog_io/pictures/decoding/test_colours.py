"""Pictures with a colour profile are stored in sRGB, as reference conversions have them."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from catalog_io.pictures.decoding.profiles import MAX_PROFILE_BYTES
from catalog_io.pictures.decoding.shrink import Picture, shrink
from tests.catalog_io.pictures.decoding.colour_maths import (
    D50,
    PATCHES,
    SPACES,
    SRGB,
    Floats,
    distance,
    gray_profile,
    icc,
    ink_profile,
    profile,
    srgb_of,
)
from tests.catalog_io.pictures.decoding.made_pictures import SMALL, encoded, is_color, raw_png, with_chunk

SRGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
OPTIONS = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}}


def mean(picture: Picture) -> Floats:
    pixels: Floats = np.asarray(Image.open(io.BytesIO(picture.jpeg)).convert("RGB")).mean(axis=(0, 1))
    return pixels


@pytest.mark.parametrize("size", [(64, 80), (700, 900)])  # the small JPEG may not keep its coding
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("space", SPACES)
def test_primaries_and_curves(space: str, kind: str, size: tuple[int, int]) -> None:
    differences = []
    for colour in PATCHES:
        data = encoded(Image.new("RGB", size, colour), kind, icc_profile=profile(space), **OPTIONS.get(kind, {}))
        picture = shrink(data)
        assert b"ICC_PROFILE" not in picture.jpeg
        differences.append(distance(mean(picture), srgb_of(colour, *SPACES[space])))
    assert np.mean(differences) < 2 and max(differences) < 4, differences


def test_prophoto_red_is_not_brown() -> None:
    data = encoded(Image.new("RGB", (300, 400), (135, 58, 50)), "JPEG", icc_profile=profile("ProPhoto RGB"))
    red, green, blue = mean(shrink(data))
    assert red > 185 and green < 60 and blue < 75


@pytest.mark.parametrize("exponent", [1.0, 1.8, 2.2, 2.6])
@pytest.mark.parametrize("level", [40, 128, 220])
def test_gray(exponent: float, level: int) -> None:
    gray, expected = gray_profile(exponent), srgb_of((level,) * 3, (*D50, *SRGB[2:]), exponent)
    for data in (
        encoded(Image.new("L", (64, 64), level), "JPEG", icc_profile=gray),
        encoded(Image.new("L", (600, 600), level), "PNG", icc_profile=gray),
        encoded(Image.new("LA", (64, 64), (level, 255)), "PNG", icc_profile=gray),
        encoded(Image.fromarray(np.full((64, 64), level * 257, np.uint16)), "PNG", icc_profile=gray),
    ):
        assert distance(mean(shrink(data)), np.full(3, expected[1])) < 2


def test_gray_pictures_may_have_a_profile_of_primaries() -> None:
    data = encoded(Image.new("L", (64, 64), 100), "JPEG", icc_profile=profile("ProPhoto RGB"))
    assert distance(mean(shrink(data)), srgb_of((100, 100, 100), *SPACES["ProPhoto RGB"])) < 2


def test_16_bits_a_channel() -> None:
    space = "Adobe RGB"
    data = raw_png(2, np.full((64, 64, 3), [level * 257 for level in PATCHES[1]], ">u2"))
    image = Image.open(io.BytesIO(data))
    assert image.size == (64, 64)
    with_profile = with_chunk(data, b"iCCP", b"a\0\0" + zlib.compress(profile(space)))
    assert distance(mean(shrink(with_profile)), srgb_of(PATCHES[1], *SPACES[space])) < 2


def ink_colour(ink: Floats) -> Floats:
    """A press whose inks are not as bright as a screen's."""
    cyan, magenta, yellow, black = ink
    base = np.array([1 - 0.85 * cyan, 1 - 0.8 * magenta, 1 - 0.75 * yellow]) * (1 - black)
    return 255 * np.array([base[0], base[1] * (1 - 0.3 * cyan), base[2] * (1 - 0.25 * magenta)])


def test_ink() -> None:
    press, differences, naive = ink_profile(ink_colour), [], []
    for ink in [(0, 255, 191, 0), (255, 128, 0, 0), (64, 0, 255, 64), (0, 0, 0, 128), (191, 64, 128, 64)]:
        for size in ((64, 64), (800, 600)):
            image = Image.new("CMYK", size, ink)
            expected = ink_colour(np.array(ink) / 255)
            differences.append(distance(mean(shrink(encoded(image, "JPEG", icc_profile=press, quality=95))), expected))
            naive.append(distance(mean(shrink(encoded(image, "JPEG", quality=95))), expected))
    assert np.mean(differences) < 3 < np.mean(naive), (differences, naive)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparency_lies_on_white_after_the_conversion(kind: str) -> None:
    space, colour = "ProPhoto RGB", (60, 140, 90)
    image = Image.new("RGBA", (64, 64), (*colour, 128))
    half = mean(shrink(encoded(image, kind, icc_profile=profile(space), **OPTIONS.get(kind, {}))))
    opaque = srgb_of(colour, *SPACES[space])
    assert abs(half - (opaque * 128 / 255 + 127)).max() < 4


def test_palettes() -> None:
    image = Image.new("P", (64, 64), 1)
    image.putpalette([0, 0, 0, 60, 140, 90])
    data = encoded(image, "PNG", icc_profile=profile("ProPhoto RGB"))
    assert distance(mean(shrink(data)), srgb_of((60, 140, 90), *SPACES["ProPhoto RGB"])) < 2


@pytest.mark.parametrize("kind", ["RGB", "L"])
def test_a_small_jpeg_in_srgb_keeps_its_coding(kind: str) -> None:
    bare = encoded(SMALL.convert(kind), "JPEG", quality=70)
    picture = shrink(encoded(SMALL.convert(kind), "JPEG", quality=70, icc_profile=SRGB_PROFILE))
    assert (picture.jpeg, picture.note) == (bare, None)


def jpeg_with_chunks(*chunks: tuple[int, int, bytes]) -> bytes:
    data = encoded(Image.new("RGB", (64, 64), (60, 140, 90)), "JPEG", quality=95)
    bodies = [b"ICC_PROFILE\0" + bytes([number, count]) + part for number, count, part in chunks]
    segments = b"".join(b"\xff\xe2" + (len(body) + 2).to_bytes(2) + body for body in bodies)
    return data[:2] + segments + data[2:]


def test_profiles_in_several_pieces() -> None:
    whole = profile("ProPhoto RGB")
    first, second = whole[:300], whole[300:]
    expected = srgb_of((60, 140, 90), *SPACES["ProPhoto RGB"])
    for good in ([(1, 2, first), (2, 2, second)], [(2, 2, second), (1, 2, first)]):
        assert distance(mean(shrink(jpeg_with_chunks(*good))), expected) < 2
    for bad in ([(1, 2, first)], [(1, 2, first), (1, 2, first), (2, 2, second)], [(0, 1, whole)], [(1, 1, whole)] * 2):
        picture = shrink(jpeg_with_chunks(*bad))
        assert is_color(picture, (60, 140, 90), 3)
        assert picture.note == "its colour profile is ignored: it is damaged"


UNUSABLE = {
    "rubbish": b"profile" * 100,
    "cut off": profile("Adobe RGB")[:300],
    "header only": profile("Adobe RGB")[:128],
    "no tags": icc(b"RGB ", b"XYZ ", {}),
    "a table of named colours": icc(b"RGB ", b"Lab ", {}, b"nmcl"),
    "for ink": ink_profile(ink_colour, 2),
    "for gray": gray_profile(1.8),
    "curves that make all black": profile("Adobe RGB").replace(
        b"para\0\0\0\0\0\0\0\0\0\2", b"para\0\0\0\0\0\0\0\0\0\x40"
    ),
    "huge": profile("Adobe RGB") + bytes(MAX_PROFILE_BYTES),
    "pipelines": icc(b"RGB ", b"XYZ ", {b"D2B0": b"mpet" + bytes(100)}),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", UNUSABLE)
def test_unusable_profiles_are_ignored_with_a_note(name: str, kind: str) -> None:
    options = {"icc_profile": UNUSABLE[name], **OPTIONS.get(kind, {})}
    picture = shrink(encoded(Image.new("RGB", (300, 400), (60, 140, 90)), kind, **options))
    assert abs(mean(picture) - (60, 140, 90)).max() < 4
    assert (picture.note or "").startswith("its colour profile is ignored: it ")


def test_ink_with_a_profile_for_screens_is_taken_as_plain_ink() -> None:
    image = Image.new("CMYK", (64, 64), (0, 255, 255, 0))
    picture = shrink(encoded(image, "JPEG", icc_profile=profile("Adobe RGB")))
    assert is_color(picture, (255, 0, 0), 8) and picture.note
