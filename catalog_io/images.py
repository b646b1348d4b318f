"""One picture from untrusted bytes to a small upright RGB JPEG, or a PictureError that says why not."""

import hashlib
import io
import os
import struct
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from catalog_io.picture_files import MAX_BYTES, PictureError, read_picture, stamp, too_many_bytes

__all__ = ["Picture", "PictureError", "read_picture", "shrink", "shrink_many", "stamp"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP")
MAX_PIXELS = 89_478_485  # where Pillow itself begins to warn of a decompression bomb
MIN_SIDE = 16
MAX_ASPECT = 20
JPEG_QUALITY = 90

# First bytes of files that are no JPEG, PNG, … but are worth naming.
_OTHER_KINDS = {
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"\0\0\1\0": "an ICO",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"\xff\x0a": "a JPEG XL",
}
_HEIC_BRANDS = (b"heic", b"heix", b"mif1", b"msf1", b"hevc")


class Picture(NamedTuple):
    """`jpeg` is the stored form, `hash` the sha256 of it in hex; width and height in pixels."""

    hash: str
    jpeg: bytes
    width: int
    height: int


def shrink(data: bytes, *, short_side: int = 256) -> Picture:
    """Checks and shrinks a picture so that its shorter side has at most `short_side` pixels; never enlarges.

    Upright by its EXIF data, transparency on white, the first frame of an animation. PictureError otherwise.
    """
    if not data:
        raise PictureError("picture_empty", "the picture has no bytes")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    with _open(data) as image:
        _check_shape(image.width, image.height)
        scale = min(1.0, short_side / min(image.size))
        image.draft(None, (round(image.width * scale), round(image.height * scale)))  # JPEG decodes smaller, faster
        try:
            rgb = _rgb(_upright(image))
        except Exception as fault:  # damaged data makes decoders raise anything: the picture is at fault
            raise PictureError("picture_truncated", f"the picture's data is cut off or damaged ({fault})") from fault
    scale = min(1.0, short_side / min(rgb.size))
    if scale < 1:
        size = (max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale)))
        rgb = rgb.resize(size, Image.Resampling.BICUBIC)
    rgb.info = {}  # comments and profiles of the original stay out of the stored form
    out = io.BytesIO()
    rgb.save(out, "JPEG", quality=JPEG_QUALITY)
    jpeg = out.getvalue()
    return Picture(hashlib.sha256(jpeg).hexdigest(), jpeg, rgb.width, rgb.height)


def shrink_many(
    rows: Sequence[tuple[str, bytes | None]],
    root: Path,
    short_side: int = 256,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[Picture | PictureError]:
    """Shrinks (relative path, embedded bytes or None) rows, in order; faults are results, not raised."""

    def one(row: tuple[str, bytes | None]) -> Picture | PictureError:
        relative, data = row
        try:
            return shrink(read_picture(root, relative) if data is None else data, short_side=short_side)
        except PictureError as fault:
            return fault

    results: list[Picture | PictureError] = []
    # Warning filters are global to the process: set once here, around the threads, never inside them.
    with warnings.catch_warnings(), ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        warnings.simplefilter("ignore")  # a damaged EXIF block and the like: `shrink` copes
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for result in pool.map(one, rows):
            results.append(result)
            progress(1)
    return results


def _open(data: bytes) -> Image.Image:
    try:
        if data.startswith(b"\x89PNG"):  # decoding does not compare a PNG's checksums; verify() does
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                image.verify()
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise PictureError("picture_too_large", str(fault)) from fault
    except Exception as fault:  # header parsers raise anything, too
        for start, kind in _OTHER_KINDS.items():
            if data.startswith(start):
                raise _not_allowed(kind) from fault
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
            raise _not_allowed("an HEIC") from fault
        if data.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) or data[8:12] in (b"WEBP", b"avif"):
            raise PictureError("picture_truncated", "the picture's data is cut off or damaged") from fault
        head = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        kind = "SVG drawing" if b"<svg" in head else "web page" if head.startswith(b"<") else "picture we know"
        verb = "is not a" if kind == "picture we know" else "is a"
        raise PictureError("picture_unreadable", f"the file {verb} {kind}") from fault


def _not_allowed(kind: str) -> PictureError:
    return PictureError("picture_format_not_allowed", f"the file is {kind}; allowed are {', '.join(FORMATS)}")


def _check_shape(width: int, height: int) -> None:
    size = f"the picture has {width} × {height} pixels"
    if width * height > MAX_PIXELS:
        raise PictureError("picture_too_large", f"{size}; at most {MAX_PIXELS} are decoded")
    if min(width, height) < MIN_SIDE:
        raise PictureError("picture_too_small", f"{size}; each side needs at least {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError("picture_extreme_shape", f"{size}; one side is over {MAX_ASPECT} times the other")


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error, UserWarning):
        return image  # a damaged EXIF block says nothing about the turn, and the pixels are good
    return image


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion clips everything above 255
        eight_bits = (np.asarray(image).astype(np.float32) / 257 + 0.5).clip(0, 255).astype(np.uint8)
        return Image.fromarray(eight_bits).convert("RGB")
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, see_through).convert("RGB")
    return image.convert("RGB")
