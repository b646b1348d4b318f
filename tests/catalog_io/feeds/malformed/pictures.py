"""Unusable pictures and references to pictures, each with its code."""

import io
import os
import struct
import zlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from tests.catalog_io.feeds.malformed.rows import GOOD


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int) -> bytes:
    """A PNG that claims to be of this size and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")


def _jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that claims to be of this size."""
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _half(kind: str) -> bytes:
    data = encoded(NOISE, kind)
    return data[: len(data) // 2]


NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (80, 60, 3), dtype=np.uint8))

JPEG, PNG = encoded(NOISE, "JPEG"), encoded(NOISE, "PNG")

MAX_BYTES = 1_000_000  # the setting that the corpus is made for


# HEIC is decoded where the extra that does so is installed.
_BROKEN_HEIC = "picture_truncated" if find_spec("pillow_heif") else "picture_format_not_allowed"

BYTES: dict[str, tuple[bytes, str]] = {
    "page.jpg": (b"<!doctype html><title>404</title>", "picture_unreadable"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "picture_unreadable"),
    "drawing.jpg": (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "picture_unreadable"),
    "garbage.jpg": (bytes(range(256)) * 4, "picture_unreadable"),
    "zeros.jpg": (bytes(1000), "picture_unreadable"),
    "one-byte.jpg": (b"\xff", "picture_unreadable"),
    "text.jpg": (b"good.jpg\n", "picture_unreadable"),
    "base64.jpg": (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "picture_unreadable"),
    "film.jpg": (b"\0\0\0\x18ftypisom" + bytes(50), "picture_unreadable"),
    "archive.jpg": (b"PK\3\4" + bytes(50), "picture_unreadable"),
    "cut.jpg": (_half("JPEG"), "picture_truncated"),
    "cut-header.jpg": (JPEG[:30], "picture_truncated"),
    "start.jpg": (JPEG[:4], "picture_truncated"),
    "cut.png": (_half("PNG"), "picture_truncated"),
    "cut.gif": (_half("GIF"), "picture_truncated"),
    "cut.webp": (_half("WEBP"), "picture_truncated"),
    "cut.avif": (_half("AVIF"), "picture_truncated"),
    "cut.bmp": (_half("BMP"), "picture_truncated"),
    "checksum.png": (flipped(PNG, PNG.index(b"IDAT") + 60), "picture_truncated"),
    "checksum-header.png": (flipped(PNG, 30), "picture_truncated"),
    "bomb.png": (_png(20_000, 10_000), "picture_too_large"),
    "small-bomb.png": (_png(10_000, 9_500), "picture_too_large"),
    "bomb.jpg": (_jpeg_of(60_000, 60_000), "picture_too_large"),
    "dot.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), "picture_too_small"),
    "tracking.gif": (encoded(Image.new("P", (1, 1)), "GIF"), "picture_too_small"),
    "thin.png": (encoded(Image.new("RGB", (15, 400)), "PNG"), "picture_too_small"),
    "ribbon.png": (encoded(Image.new("RGB", (340, 16)), "PNG"), "picture_extreme_shape"),
    "tower.png": (encoded(Image.new("RGB", (16, 340)), "PNG"), "picture_extreme_shape"),
    "scan.tif": (encoded(NOISE, "TIFF"), "picture_format_not_allowed"),
    "scan.jpg": (b"MM\0*" + bytes(100), "picture_format_not_allowed"),
    "icon.ico": (encoded(NOISE, "ICO"), "picture_format_not_allowed"),
    "sheet.pdf": (b"%PDF-1.7\n" + bytes(100), "picture_format_not_allowed"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(50), _BROKEN_HEIC),
    "clear.png": (encoded(Image.new("RGBA", (60, 80)), "PNG"), "picture_blank"),
    "layers.psd": (b"8BPS\0\1" + bytes(50), "picture_format_not_allowed"),
    "new.jxl": (b"\xff\x0a" + bytes(50), "picture_format_not_allowed"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "picture_format_not_allowed"),
    "film.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "picture_format_not_allowed"),
}


# name → what a row writes for its picture, and the code; `lay_out` makes the places.
PLACES: dict[str, tuple[str, str]] = {
    "empty file": ("empty.jpg", "picture_empty"),
    "a huge file": ("huge.jpg", "picture_too_many_bytes"),
    "absent": ("absent.jpg", "picture_not_found"),
    "absent folder": ("absent/good.jpg", "picture_not_found"),
    "a file as a folder": ("good.jpg/good.jpg", "picture_not_found"),
    "a broken link": ("broken-link.jpg", "picture_not_found"),
    "a link to itself": ("circle.jpg", "picture_not_found"),
    "NUL in the path": ("good\0.jpg", "picture_not_found"),
    "a very long path": ("a/" * 3000 + "a.jpg", "picture_not_found"),
    "a very long name": ("a" * 5000 + ".jpg", "picture_not_found"),
    "Windows' way out": ("..\\secret.jpg", "picture_not_found"),
    "quoted way out": ("%2e%2e/secret.jpg", "picture_not_found"),
    "home": ("~/good.jpg", "picture_not_found"),
    "outside by ..": ("../secret.jpg", "picture_outside_root"),
    "outside by .. in the middle": ("folder.jpg/../../secret.jpg", "picture_outside_root"),
    "outside, absent": ("../absent.jpg", "picture_outside_root"),
    "absolute": ("/etc/hostname", "picture_outside_root"),
    "absolute, twice": ("//etc/hostname", "picture_outside_root"),
    "a link that leads out": ("link.jpg", "picture_outside_root"),
    "a linked folder that leads out": ("linked/secret.jpg", "picture_outside_root"),
    "devices": ("/dev/zero", "picture_outside_root"),
    "a formula": ("=VLOOKUP(A2,B:C,2)", "picture_cell_unreadable"),
    "an object without a picture": ('{"id": 5}', "picture_cell_unreadable"),
    "half a GIF in base64": ("data:image/gif;base64,R0lGODlhAQABAAAAACw=", "picture_truncated"),
    "a path of Windows": ("C:\\export\\good.jpg", "picture_not_found"),
    "other capitals": ("GOOD.jpg", "picture_not_found"),
    "a folder": ("folder.jpg", "picture_not_a_file"),
    "the root": (".", "picture_not_a_file"),
    "a pipe": ("pipe.jpg", "picture_not_a_file"),
    **{
        f"by {uri[:12]}": (uri, "picture_scheme_not_allowed")
        for uri in (
            *("file:///etc/hostname", "file:good.jpg", "ftp://shop.example/a.jpg", "s3://bucket/a.jpg"),
            *("gs://bucket/a.jpg", "data:text/plain,Dress", "javascript:alert(1)"),
            *("gopher://shop.example/a.jpg", "zip::file://a.zip", "memory://a.jpg", "blob:https://shop.example/1"),
        )
    },
    **{
        f"at {host}": (f"http://{host}/a.jpg", "picture_address_not_allowed")
        for host in (
            *("127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.1.", "169.254.169.254", "[::1]", "0.0.0.0"),  # noqa: S104
            *("2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "①②⑦.⓪.⓪.①"),
            *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
            *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[fd00::1]", "[fe80::1]", "[::]"),
            *("shop.example@127.0.0.1", "shop.example:80@127.0.0.1:80", "127.0.0.1:22", "127.0.0.1:80#@shop.example"),
            *("127.0.0.1?@shop.example", "%31%32%37.0.0.1@127.0.0.1", "[2002:7f00:1::]"),
        )
    },
    **{
        f"no URL: {url[:30]}": (url, "picture_not_found")
        for url in (
            *("http://", "http:///a.jpg", "http:a.jpg", "https://?", "http://[::1", "http://[fe80::1%25eth0]/a.jpg"),
            *("http://127.0.0.1:99999/a.jpg", "http://127.0.0.1:port/a.jpg", "http://a b/a.jpg", "http://.../a.jpg"),
            *("http://%31%32%37.0.0.1/a.jpg", f"http://{'a' * 300}.example/a.jpg", "http://a..b/a.jpg"),
        )
    },
    "no such host": ("https://something.invalid/a.jpg", "picture_host_unknown"),
    "nobody listens": ("http://127.0.0.2:1/a.jpg", "picture_connection_failed"),
}


def lay_out(folder: Path) -> None:
    """A feed's picture folder with all of BYTES and PLACES, and a secret picture beside it."""
    (folder / "folder.jpg").mkdir(parents=True)
    (folder.parent / "secret").mkdir()
    for path in (folder.parent / "secret.jpg", folder.parent / "secret" / "secret.jpg", folder / GOOD):
        path.write_bytes(JPEG)
    (folder / "other.jpg").write_bytes(PNG)
    for name, (data, _) in BYTES.items():
        (folder / name).write_bytes(data)
    (folder / "empty.jpg").touch()
    (folder / "huge.jpg").touch()
    os.truncate(folder / "huge.jpg", MAX_BYTES + 1)
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "linked").symlink_to(folder.parent / "secret")
    (folder / "broken-link.jpg").symlink_to("absent.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(folder / "pipe.jpg")
