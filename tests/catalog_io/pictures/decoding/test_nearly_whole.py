"""Files whose picture is whole though the file is not: they are accepted at every size, and cut pictures at none."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.made_pictures import bad_crc, chunk, encoded, pixels, with_chunk

SIZES = [(120, 150), (700, 900)]


def photograph(size: tuple[int, int]) -> Image.Image:
    spots = np.random.default_rng(3).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    return Image.fromarray(spots).resize(size, Image.Resampling.BICUBIC)


JPEGS = {
    (size, name): encoded(photograph(size).convert(mode), "JPEG", **options)
    for size in SIZES
    for name, mode, options in [
        ("baseline", "RGB", {}),
        ("progressive", "RGB", {"progressive": True}),
        ("gray", "L", {}),
        ("ink", "CMYK", {}),
        ("with restarts", "RGB", {"restart_marker_rows": 1}),
    ]
}
BARE_ENDS = {
    "no end marker": b"",
    "half an end marker": b"\xff",
    "NULs in place of the end marker": bytes(2048),
    "a line end in place of the end marker": b"\r\n",
}
WHOLE_ENDS = {
    "a line end": b"\n",
    "NULs": bytes(2048),
    "text": b"more",
    "another picture": encoded(photograph((64, 64)), "JPEG"),
}


@pytest.mark.parametrize("key", JPEGS, ids=lambda key: f"{key[1]}-{key[0][0]}")
def test_jpegs_with_another_end(key: tuple[tuple[int, int], str]) -> None:
    whole = JPEGS[key]
    expected = shrink(whole)
    for end in BARE_ENDS.values():
        assert shrink(whole[:-2] + end) == expected
    for end in WHOLE_ENDS.values():
        assert shrink(whole + end) == expected


@pytest.mark.parametrize("key", JPEGS, ids=lambda key: f"{key[1]}-{key[0][0]}")
def test_cut_jpegs_are_refused_at_every_size(key: tuple[tuple[int, int], str]) -> None:
    whole = JPEGS[key][:-2]
    # Nothing is missed of a picture whose last byte is filling.
    for cut in (8, 20, 50, 100, 400, len(whole) // 4, len(whole) // 2, 3 * len(whole) // 4):
        for end in (b"", bytes(64), b"\n"):
            with pytest.raises(PictureError) as fault:
                shrink(whole[:-cut] + end)
            assert fault.value.code == "picture_truncated"


def test_a_progressive_jpeg_without_its_last_scans_is_cut() -> None:
    whole = JPEGS[SIZES[0], "progressive"]
    scan = whole.rindex(b"\xff\xda")
    table = whole.rindex(b"\xff\xc4", 0, scan)
    for end in (scan, table, scan + 1, table + 1, table + 8):
        with pytest.raises(PictureError, match="picture_truncated"):
            shrink(whole[:end])


@pytest.mark.parametrize("junk", [b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xff\xfe", b" \t", bytes(8)], ids=repr)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "BMP"])
def test_bytes_before_the_start(kind: str, junk: bytes) -> None:
    for size in SIZES:
        data = encoded(photograph(size), kind)
        assert shrink(junk + data) == shrink(data)


def test_many_bytes_before_the_start_are_refused() -> None:
    with pytest.raises(PictureError, match="picture_unreadable"):
        shrink(bytes(5000) + encoded(photograph((64, 64)), "PNG"))


PNG = encoded(photograph((300, 400)), "PNG")
NEARLY_WHOLE_PNGS = {
    "text": bad_crc(with_chunk(PNG, b"tEXt", b"Comment\0fine"), b"tEXt"),
    "packed text of 50 MB": with_chunk(PNG, b"zTXt", b"c\0\0" + zlib.compress(bytes(50_000_000))),
    "an unknown chunk": bad_crc(with_chunk(PNG, b"abCd", b"what"), b"abCd"),
    "a profile": bad_crc(with_chunk(PNG, b"iCCP", b"name\0\0profile"), b"iCCP"),
    "half a resolution": with_chunk(PNG, b"pHYs", b"\0"),
    "no end": PNG[:-12],
    "half an end": PNG[:-6],
    "an end without its checksum": PNG[:-4],
    "the end's checksum": PNG[:-1] + b"\0",
    "no checksum of the pixels": PNG[:-14],
    "bytes after the end": PNG + b"more" * 1000,
    "bytes in place of the end": PNG[:-12] + bytes(100),
    "a cut chunk after the pixels": PNG[:-12] + chunk(b"tEXt", b"Comment\0" + bytes(100))[:-30],
}


@pytest.mark.parametrize("name", NEARLY_WHOLE_PNGS)
def test_nearly_whole_pngs(name: str) -> None:
    assert shrink(NEARLY_WHOLE_PNGS[name]) == shrink(PNG)


def test_pngs_whose_pixels_are_damaged_are_refused() -> None:
    palette = encoded(photograph((300, 400)).quantize(16), "PNG")
    cuts = [PNG[:-200], PNG[: len(PNG) // 2], PNG[:60], PNG[:33], PNG[:20]]
    for data in (bad_crc(PNG, b"IDAT"), bad_crc(PNG, b"IHDR"), bad_crc(palette, b"PLTE"), *cuts):
        with pytest.raises(PictureError) as fault:
            shrink(data)
        assert fault.value.code == "picture_truncated"


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_webps_of_a_wrong_length(mode: str) -> None:
    data = encoded(photograph((300, 400)).convert(mode), "WEBP", exif=b"Exif\0\0")
    for length in (0, 4, len(data) - 100, len(data) + 100, 2**32 - 1):
        assert shrink(data[:4] + struct.pack("<I", length) + data[8:]) == shrink(data)
    for more in (b"\n", b"more" * 10, bytes(100)):
        assert shrink(data + more) == shrink(data)
    with pytest.raises(PictureError, match="picture_truncated"):
        shrink(data[: len(data) // 2])


def test_gifs_without_an_end() -> None:
    data = encoded(photograph((300, 400)), "GIF")
    assert data.endswith(b"\0\x3b")
    for whole in (data[:-1], data[:-2], data + b"more", data[:-1] + bytes(50)):
        assert abs(pixels(shrink(whole)) - pixels(shrink(data))).max() == 0
    with pytest.raises(PictureError, match="picture_truncated"):
        shrink(data[:-200])


def test_a_telephone_s_picture_with_a_second_one() -> None:
    out = io.BytesIO()
    photograph((700, 900)).save(out, "MPO", save_all=True, append_images=[photograph((64, 64))])
    assert shrink(out.getvalue()).width == 256
