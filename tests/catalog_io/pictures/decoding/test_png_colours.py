"""The chunks of a PNG that say what its colours mean: cICP, iCCP, sRGB, cHRM and gAMA, in this order."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from tests.catalog_io.pictures.decoding.colour_maths import SPACES, SRGB, distance, profile, srgb_of
from tests.catalog_io.pictures.decoding.made_pictures import bad_crc, encoded, is_color, with_chunk
from tests.catalog_io.pictures.decoding.test_colours import mean

COLOUR = (60, 140, 90)
PLAIN = encoded(Image.new("RGB", (300, 400), COLOUR), "PNG")
ADOBE, WIDE = SPACES["Adobe RGB"][0], SPACES["wide gamut, linear"][0]


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def chrm(points: tuple[float, ...]) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(number * 100_000) for number in points))


def iccp(space: str) -> tuple[bytes, bytes]:
    return b"iCCP", b"name\0\0" + zlib.compress(profile(space))


def cicp(primaries: int, transfer: int) -> tuple[bytes, bytes]:
    return b"cICP", bytes([primaries, transfer, 0, 1])


def with_chunks(*chunks: tuple[bytes, bytes]) -> bytes:
    data = PLAIN
    for name, body in reversed(chunks):
        data = with_chunk(data, name, body)
    return data


CONVERTED = {
    "gamma 1": ([gama(1.0)], (SRGB, 1.0)),
    "gamma 1.8": ([gama(0.55556)], (SRGB, 1.8)),
    "gamma and chromaticities": ([gama(0.55556), chrm(WIDE)], (WIDE, 1.8)),
    "Adobe RGB by numbers": ([chrm(ADOBE), gama(0.45470)], (ADOBE, 2.2)),
    "an sRGB gamma with other chromaticities": ([chrm(ADOBE), gama(0.45455)], (ADOBE, 2.2)),
    "chromaticities alone": ([chrm(ADOBE)], (ADOBE, 2.2)),
    "a profile before numbers": ([gama(1.0), chrm(WIDE), iccp("Adobe RGB")], SPACES["Adobe RGB"]),
    "a profile before sRGB": ([(b"sRGB", b"\0"), iccp("Adobe RGB")], SPACES["Adobe RGB"]),
    "codes before a profile": ([iccp("ProPhoto RGB"), cicp(12, 13)], SPACES["Display P3"]),
    "codes of film": ([cicp(9, 4)], ((0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046), 2.2)),
}


@pytest.mark.parametrize("name", CONVERTED)
def test_chunks_that_change_colours(name: str) -> None:
    chunks, (points, exponent) = CONVERTED[name]
    picture = shrink(with_chunks(*chunks))
    assert distance(mean(picture), srgb_of(COLOUR, points, exponent)) < 3
    assert picture.note == "it has one colour"


SAME = {
    "nothing": [],
    "sRGB": [(b"sRGB", b"\0")],
    "the gamma of sRGB": [gama(0.45455)],
    "sRGB in numbers": [gama(0.45455), chrm(SRGB)],
    "sRGB before numbers": [(b"sRGB", b"\0"), gama(1.0), chrm(WIDE)],
    "codes of sRGB": [cicp(1, 13), gama(1.0)],
    "codes of television": [cicp(1, 1)],
    "codes that say nothing": [cicp(2, 2)],
}


@pytest.mark.parametrize("name", SAME)
def test_chunks_that_say_srgb(name: str) -> None:
    picture = shrink(with_chunks(*SAME[name]))
    assert picture == shrink(PLAIN)


IGNORED = {
    "no gamma": [gama(0)],
    "an absurd gamma": [gama(0.03)],
    "a gamma of 30": [gama(30)],
    "half a gamma": [(b"gAMA", b"\0")],
    "chromaticities in a line": [chrm((0.3, 0.3, 0.1, 0.1, 0.2, 0.2, 0.4, 0.4))],
    "no chromaticities": [chrm((0.0,) * 8)],
    "huge chromaticities": [(b"cHRM", b"\x7f" * 32)],
    "half of the chromaticities": [(b"cHRM", bytes(16))],
    "a profile that is not packed": [(b"iCCP", b"name\0\0" + profile("Adobe RGB"))],
    "a profile without a name": [(b"iCCP", b"name")],
    "a profile of 50 MB": [(b"iCCP", b"name\0\0" + zlib.compress(bytes(50_000_000)))],
    "high dynamic range": [cicp(9, 16)],
    "codes of nothing": [cicp(200, 200)],
    "half a code": [(b"cICP", b"\1")],
}


@pytest.mark.parametrize("name", IGNORED)
def test_chunks_that_say_nonsense_are_ignored_with_a_note(name: str) -> None:
    picture = shrink(with_chunks(*IGNORED[name]))
    assert picture.jpeg == shrink(PLAIN).jpeg
    assert (picture.note or "").startswith("its colour profile is ignored: it ")


def test_a_chunk_with_a_bad_checksum_says_nothing() -> None:
    assert shrink(bad_crc(with_chunks(gama(1.0)), b"gAMA")) == shrink(PLAIN)


def test_chunks_after_the_pixels_say_nothing() -> None:
    name, body = gama(1.0)
    at = PLAIN.rindex(b"IEND") - 4
    whole = struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    assert shrink(PLAIN[:at] + whole + PLAIN[at:]) == shrink(PLAIN)


def test_gray_and_palettes_have_a_gamma_too() -> None:
    name, body = gama(1.0)
    expected = srgb_of((100, 100, 100), SRGB, 1.0)
    for mode in ("L", "P", "RGBA"):
        data = encoded(Image.new("L", (64, 64), 100).convert(mode), "PNG")
        assert distance(mean(shrink(with_chunk(data, name, body))), expected) < 2
    deep = encoded(Image.fromarray(np.full((64, 64), 100 * 257, np.uint16)), "PNG")
    assert distance(mean(shrink(with_chunk(deep, name, body))), expected) < 2


def test_codes_of_avif() -> None:
    data = encoded(Image.new("RGB", (64, 64), COLOUR), "AVIF", quality=95, subsampling="4:4:4")
    at = data.index(b"colrnclx") + 8
    assert is_color(shrink(data), COLOUR, 4)
    wide = data[:at] + struct.pack(">HH", 12, 13) + data[at + 4 :]
    assert distance(mean(shrink(wide)), srgb_of(COLOUR, *SPACES["Display P3"])) < 3
    bright = shrink(data[:at] + struct.pack(">HH", 9, 16) + data[at + 4 :])
    assert is_color(bright, COLOUR, 4) and bright.note == "its colour profile is ignored: it is of high dynamic range"
