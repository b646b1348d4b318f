import hashlib
import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from catalog_io.images import Picture, PictureError, read_picture, shrink, shrink_many, stamp

HM = Path(__file__).parents[2] / "shared" / "data" / "hm"
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
    (result,) = shrink_many([("", data)], Path())
    assert isinstance(result, Picture) and is_color(result, (254, 0, 0))


def test_comments_are_not_kept() -> None:
    assert b"secret" not in shrink(encoded(NOISE, "JPEG", comment=b"secret")).jpeg


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP"):
        assert is_color(shrink(encoded(frames[0], kind, save_all=True, append_images=frames[1:])), (254, 0, 0), 5)


def test_the_same_picture_has_the_same_hash() -> None:
    data = encoded(NOISE, "PNG")
    assert shrink(data) == shrink(data)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub.jpg").mkdir(parents=True)
    (root / "a.jpg").write_bytes(encoded(NOISE, "JPEG"))
    (tmp_path / "secret.jpg").write_bytes(encoded(NOISE, "JPEG"))
    (root / "out.jpg").symlink_to("../secret.jpg")
    (root / "outside").symlink_to(tmp_path)
    (root / "in.jpg").symlink_to("a.jpg")
    (root / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(root / "pipe.jpg")
    return root


@pytest.mark.parametrize(
    ("relative", "code"),
    [
        ("", "picture_not_found"),
        ("none.jpg", "picture_not_found"),
        ("a.jpg/b.jpg", "picture_not_found"),
        ("circle.jpg", "picture_not_found"),
        ("nul\0.jpg", "picture_not_found"),
        ("x" * 5000, "picture_not_found"),
        ("https://example.com/a.jpg", "picture_not_found"),
        ("../secret.jpg", "picture_outside_root"),
        ("sub.jpg/../../secret.jpg", "picture_outside_root"),
        ("../root2/a.jpg", "picture_outside_root"),
        ("/etc/passwd", "picture_outside_root"),
        ("out.jpg", "picture_outside_root"),
        ("outside/secret.jpg", "picture_outside_root"),
        ("sub.jpg", "picture_not_a_file"),
        (".", "picture_not_a_file"),
        ("pipe.jpg", "picture_not_a_file"),
    ],
)
def test_paths_that_are_no_pictures(root: Path, relative: str, code: str) -> None:
    with pytest.raises(PictureError) as fault:
        read_picture(root, relative)
    assert fault.value.code == code
    if code != "picture_not_a_file":
        assert stamp(root, relative) == ""


def test_paths_inside_the_root(root: Path) -> None:
    data = (root / "a.jpg").read_bytes()
    for relative in ("a.jpg", "./sub.jpg/../a.jpg", "in.jpg", str(root / "a.jpg")):
        assert read_picture(root, relative) == data


def test_a_stamp_changes_with_the_file(root: Path) -> None:
    before = stamp(root, "a.jpg")
    assert before == stamp(root, "a.jpg") != ""
    os.utime(root / "a.jpg", ns=(1, 1))
    assert stamp(root, "a.jpg") != before


def test_too_large_a_file_is_not_read(root: Path) -> None:
    with open(root / "huge.jpg", "wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(PictureError) as fault:
        read_picture(root, "huge.jpg")
    assert fault.value.code == "picture_too_many_bytes"


def test_shrink_many_keeps_the_order_and_returns_faults(root: Path) -> None:
    small_bomb = FAULTS["small bomb, where Pillow only warns"][0]
    rows = [
        ("a.jpg", None),
        ("none.jpg", None),
        ("", small_bomb),
        ("", b""),
        ("", encoded(NOISE, "PNG")),
        ("../x", None),
    ]
    done: list[int] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = shrink_many(rows * 5, root, 32, 4, done.append)
    codes = [r.code if isinstance(r, PictureError) else (r.width, r.height) for r in results]
    assert codes == 5 * [
        (32, 32), "picture_not_found", "picture_too_large", "picture_empty", (32, 32), "picture_outside_root",
    ]  # fmt: skip
    assert sum(done) == 30


@pytest.mark.skipif(not HM.exists(), reason="the real catalogues are beside the project")
def test_real_pictures() -> None:
    rows = [(f"images/{path.name}", None) for path in sorted((HM / "images").iterdir())[:50]]
    assert all(isinstance(result, Picture) for result in shrink_many(rows, HM, 256, 2))
