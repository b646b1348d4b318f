import hashlib
import io
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from pathlib import Path

import imagehash
import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import Picture, PictureError, shrink
from tests.places import REAL_CATALOGUES

HM = REAL_CATALOGUES / "hm"
RNG = np.random.default_rng(7)
NOISE = Image.fromarray(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    image = Image.open(io.BytesIO(picture.jpeg))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (picture.width, picture.height))
    return np.asarray(image).astype(np.int16)


def is_color(picture: Picture, rgb: tuple[int, int, int], tolerance: int = 4) -> bool:
    return bool((abs(pixels(picture) - np.array(rgb)) <= tolerance).all())


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(b"\0" * 1000)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(idat) - 4)
        + idat
        + struct.pack(">I", zlib.crc32(idat))
        + end
    )


def bad_crc(data: bytes, chunk: bytes) -> bytes:
    at = data.index(chunk)
    end = at + 4 + struct.unpack(">I", data[at - 4 : at])[0]
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


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
    "heic": (b"\0\0\0\x18ftypheic" + bytes(50), "picture_format_not_allowed"),
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


def test_transparency_lies_on_white() -> None:
    hidden = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    assert is_color(shrink(encoded(hidden, "PNG")), (255, 255, 255))
    assert is_color(shrink(encoded(hidden, "WEBP", lossless=True, exact=True)), (255, 255, 255))
    assert is_color(shrink(encoded(Image.new("RGBA", (64, 64), (0, 0, 0, 128)), "PNG")), (127, 127, 127))
    assert is_color(shrink(encoded(Image.new("LA", (64, 64), (0, 0)), "PNG")), (255, 255, 255))


def test_palette_transparency_lies_on_white() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 255, 255, 0, 0])
    assert is_color(shrink(encoded(image, "PNG")), (0, 0, 255))
    assert is_color(shrink(encoded(image, "PNG", transparency=0)), (255, 255, 255))
    assert is_color(shrink(encoded(image, "PNG", transparency=b"\0\xff")), (255, 255, 255))
    assert is_color(shrink(encoded(image, "GIF", transparency=0)), (255, 255, 255))
    assert is_color(shrink(encoded(Image.new("RGB", (64, 64), (9, 9, 9)), "PNG", transparency=(9, 9, 9))), (255,) * 3)


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white(mode: str) -> None:
    assert is_color(shrink(encoded(Image.new(mode, (64, 64), 255), "PNG")), (255, 255, 255))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(kind: str) -> None:
    image = Image.new("RGB", (120, 80), "white")
    image.paste((255, 0, 0), (0, 0, 60, 80))  # stored: red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees: red on top
    picture = shrink(encoded(image, kind, exif=exif))
    assert (picture.width, picture.height) == (80, 120)
    got = pixels(picture)
    assert got[10:50, :, 1].mean() < 30 and got[70:110, :, 1].mean() > 225
    assert b"Exif" not in picture.jpeg


def test_a_damaged_exif_block_does_not_cost_the_picture() -> None:
    data = encoded(Image.new("RGB", (64, 64), "red"), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    assert is_color(shrink(data), (254, 0, 0))


def test_comments_are_not_kept() -> None:
    assert b"secret" not in shrink(encoded(NOISE, "JPEG", comment=b"secret")).jpeg


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP"):
        assert is_color(shrink(encoded(frames[0], kind, save_all=True, append_images=frames[1:])), (254, 0, 0), 5)


def test_the_same_picture_has_the_same_hash() -> None:
    data = encoded(NOISE, "PNG")
    assert shrink(data) == shrink(data)


def test_16_bits_of_other_kinds() -> None:
    values = np.full((32, 32), 30_000, np.uint16)
    hidden = shrink(with_chunk(encoded(Image.fromarray(values), "PNG"), b"tRNS", struct.pack(">H", 30_000)))
    assert is_color(hidden, (255, 255, 255))
    assert is_color(shrink(raw_png(2, np.full((32, 32, 3), (65535, 0, 32768), ">u2"))), (255, 0, 128), 6)
    assert is_color(shrink(raw_png(4, np.full((32, 32, 2), (0, 0), ">u2"))), (255, 255, 255))
    assert is_color(shrink(raw_png(6, np.full((32, 32, 4), (0, 0, 0, 32768), ">u2"))), (127, 127, 127))


def raw_png(kind: int, values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> bytes:
    """Of 16 bits a channel, which Pillow does not write."""
    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in chunks)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    return png[:33] + chunk(name, body) + png[33:]


def test_adobe_inverted_cmyk() -> None:
    data = encoded(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")
    assert b"Adobe" in data
    picture = shrink(data)
    assert is_color(picture, (255, 0, 0), 8) and picture.jpeg != data


def test_an_avif_is_turned_by_its_own_properties() -> None:
    image = Image.new("RGB", (120, 80), "white")
    image.paste((255, 0, 0), (0, 0, 60, 80))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret"
    picture = shrink(encoded(image, "AVIF", exif=exif))
    assert (picture.width, picture.height) == (80, 120)
    got = pixels(picture)
    assert got[10:50, :, 1].mean() < 40 and got[70:110, :, 1].mean() > 215


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation(turn: int) -> None:
    corners = Image.new("RGB", (128, 96), "black")
    corners.paste("white", (0, 0, 64, 48))
    exif = Image.Exif()
    exif[0x0112] = turn
    got = pixels(shrink(encoded(corners, "JPEG", exif=exif)))[:, :, 0]
    half_height, half_width = got.shape[0] // 2, got.shape[1] // 2
    quarters = [got[:half_height, :half_width], got[:half_height, half_width:]]
    quarters += [got[half_height:, :half_width], got[half_height:, half_width:]]
    white = {1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[turn]
    assert [quarter.mean() > 128 for quarter in quarters] == [place == white for place in range(4)]
    assert got.shape == ((96, 128) if turn < 5 else (128, 96))


def test_the_first_picture_of_a_phones_several() -> None:
    frames = [Image.new("RGB", (300, 400), color) for color in ((200, 30, 60), (0, 0, 255))]
    several = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    for data in (several, encoded(frames[0].resize((90, 120)), "MPO", save_all=True, append_images=frames[1:])):
        picture = shrink(data)
        assert is_color(picture, (200, 30, 60), 6)
        assert picture.jpeg.count(b"\xff\xd8\xff") == 1 and b"MPF" not in picture.jpeg


@pytest.mark.parametrize("side", [64, 2600])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "RGBA", "I;16"])
def test_large_pictures_go_the_same_way_as_small_ones(mode: str, side: int) -> None:
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


SMALL = Image.fromarray(np.tile(np.arange(0, 240, 2, dtype=np.uint8), (90, 1))).convert("RGB")


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"keep_rgb": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_small_jpeg_keeps_its_coding(mode: str, options: dict[str, object]) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "secret", 1
    bare = encoded(SMALL.convert(mode), "JPEG", quality=70, **options)
    more = {"exif": exif, "comment": b"secret", "icc_profile": b"secret" * 20_000}
    full = encoded(SMALL.convert(mode), "JPEG", quality=70, **more, **options)
    picture = shrink(full + b"secret")
    assert picture == shrink(bare)
    assert picture.jpeg == bare and picture.hash == hashlib.sha256(bare).hexdigest()
    assert (picture.width, picture.height) == SMALL.size
    stored, came = Image.open(io.BytesIO(picture.jpeg)), Image.open(io.BytesIO(full))
    assert np.array_equal(np.asarray(stored.convert("RGB")), np.asarray(came.convert("RGB")))


def test_a_small_jpeg_that_is_coded_anew() -> None:
    turned = Image.Exif()
    turned[0x0112] = 3
    for data in (
        encoded(SMALL, "JPEG", exif=turned),
        encoded(SMALL.convert("CMYK"), "JPEG"),
        encoded(NOISE, "JPEG", quality=100, subsampling=0),  # over 3 bytes a pixel
        encoded(SMALL, "PNG"),
    ):
        picture = shrink(data)
        assert picture.jpeg[:4] == b"\xff\xd8\xff\xe0" and picture.jpeg not in data
        assert len(picture.jpeg) < 3 * picture.width * picture.height
        assert shrink(picture.jpeg) == picture


def test_what_is_stored_is_stored_again_as_it_is() -> None:
    first = shrink(encoded(Image.effect_noise((700, 900), 60).convert("RGB"), "PNG"))
    assert shrink(first.jpeg).jpeg == first.jpeg


def test_the_perceptual_hash_is_imagehashs() -> None:
    y, x = np.mgrid[0:640, 0:512]
    image = Image.fromarray(
        np.stack([x // 2, y // 3, 127 + 120 * np.sin(x / 60) * np.cos(y / 90)], axis=2).astype("u1")
    )
    expected = imagehash.phash(image)
    for data in (encoded(image, "PNG"), encoded(image, "JPEG"), encoded(image.resize((200, 250)), "JPEG", quality=60)):
        found = shrink(data).perceptual_hash
        assert len(found) == 16 and imagehash.hex_to_hash(found) - expected <= 4
    assert imagehash.hex_to_hash(shrink(encoded(image.rotate(90), "PNG")).perceptual_hash) - expected > 12


JPEG, PNG, GIF = (encoded(NOISE, kind) for kind in ("JPEG", "PNG", "GIF"))
GIF_TABLES = 13 + 3 * (2 << (GIF[10] & 7))
SLOW = {
    "empty chunks": PNG[:33] + chunk(b"abCd", b"") * 400_000 + PNG[33:],
    "empty data chunks": PNG[:33] + chunk(b"IDAT", b"") * 400_000 + PNG[33:],
    "comments in a GIF": GIF[:GIF_TABLES] + b"!\xfe\1a\0" * 600_000 + GIF[GIF_TABLES:],
    "a comment in many pieces": GIF[:GIF_TABLES] + b"!\xfe" + b"\1a" * 600_000 + b"\0" + GIF[GIF_TABLES:],
    "comments in a JPEG": JPEG[:2] + b"\xff\xfe\0\2" * 20_000 + JPEG[2:],
    "comments after a scan": JPEG[:-2] + b"\xff\xfe\0\2" * 20_000 + b"\xff\xd9",
}


@pytest.mark.parametrize("name", SLOW)
def test_files_in_very_many_pieces(name: str) -> None:
    began = time.perf_counter()
    with pytest.raises(PictureError) as fault:
        shrink(SLOW[name])
    assert fault.value.code == "picture_unreadable" and "pieces" in fault.value.sentence
    assert time.perf_counter() - began < 5


def test_a_jpeg_with_very_many_passes() -> None:
    plain = encoded(Image.new("RGB", (3000, 3000), "red"), "JPEG", progressive=True)
    last_scan = plain[plain.rfind(b"\xff\xda") : -2]
    with pytest.raises(PictureError) as fault:
        shrink(plain[:-2] + last_scan * 1000 + b"\xff\xd9")
    assert fault.value.code == "picture_too_large"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the AVIF's block
def test_an_exif_block_does_not_fill_the_memory() -> None:
    """Every entry claims the whole block."""
    entries = b"".join(struct.pack("<HHII", 0x1000 + n, 1, 59_000, 8) for n in range(2000))
    block = (b"II*\0" + struct.pack("<IH", 8, 2000) + entries).ljust(60_000, b"\0")
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    tracemalloc.start()
    for kind in ("WEBP", "AVIF"):
        assert shrink(encoded(NOISE, kind, exif=block)).width == 64
    assert shrink(with_chunk(PNG, b"eXIf", block)).width == 64
    assert shrink(JPEG[:2] + segment * 40 + JPEG[2:]).width == 64
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "CMYK"])
def test_the_largest_pictures_are_not_copied(mode: str) -> None:
    code = f"""
import io, resource
from PIL import Image
from catalog_io.pictures.decoding.shrink import shrink
out = io.BytesIO()
Image.new({mode!r}, (8000, 8000)).save(out, {"JPEG" if mode == "CMYK" else "PNG"!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shrink(out.getvalue())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Of 64 megapixels: writing them took one copy, and reading takes no second one beside its own.
    assert int(done.stdout) < 150_000


@pytest.mark.skipif(not HM.exists(), reason="the real catalogues are beside the project")
def test_real_pictures() -> None:
    for path in sorted((HM / "images").iterdir())[:50]:
        data = path.read_bytes()
        picture = shrink(data)
        stored, came = Image.open(io.BytesIO(picture.jpeg)), Image.open(io.BytesIO(data))
        assert np.array_equal(np.asarray(stored), np.asarray(came.convert("RGB")))


def test_damaged_pictures_in_thousands(tmp_path: Path) -> None:
    """The first 1,000 damaged pictures of `fuzz_pictures.py` beside this file."""
    fuzz = [sys.executable, str(Path(__file__).with_name("fuzz_pictures.py")), "--failures", str(tmp_path / "failures")]
    done = subprocess.run([*fuzz, "--items", "1000", "--minutes", "0.5"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"a picture"' in done.stdout and '"picture_truncated"' in done.stdout
