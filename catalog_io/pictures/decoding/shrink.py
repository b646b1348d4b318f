"""Turns untrusted bytes into a small upright sRGB JPEG, or raises PictureError that says why it cannot.

A change that gives other pixels, or accepts other pictures, needs another `schemas.pictures.PIXEL_RULES`.
"""

import contextlib
import hashlib
import io
import threading
from typing import NamedTuple

import imagehash
from PIL import Image

from catalog_io.pictures.decoding.colour import Conversion, colours_of
from catalog_io.pictures.decoding.frames import ANIMATED, frame_that_shows, is_one_colour
from catalog_io.pictures.decoding.jpeg import orientation, strip_metadata
from catalog_io.pictures.decoding.jpeg_end import with_end
from catalog_io.pictures.decoding.open import (
    MAX_PIXELS,
    Source,
    not_allowed,
    open_picture,
    orientation_of,
    profile_of,
    read_container,
)
from catalog_io.pictures.decoding.pixels import shrink_to_rgb, turn_upright
from catalog_io.pictures.decoding.repair import repaired
from catalog_io.pictures.fetching.fetched import MAX_BYTES, too_many_bytes
from schemas.pictures import PictureError

MIN_SIDE = 16
MAX_ASPECT = 20
JPEG_QUALITY = 90

_MOST_KEPT = 3  # bytes a pixel, up to which a small JPEG keeps its coding
_HASHED_SIDE = 64
# Decoders take up to 16 bytes a pixel, so a process decodes its largest pictures one at a time.
_LARGE = 16_000_000  # pixels
_one_large = threading.Lock()


class Picture(NamedTuple):
    """A stored picture: `hash` is the SHA-256 of `jpeg` in hex; width and height are in pixels.

    `perceptual_hash`: 16 hex digits (imagehash.phash); pictures that look alike differ in few bits.
    `note`: what is doubtful about the picture, or None.
    """

    hash: str
    jpeg: bytes
    width: int
    height: int
    perceptual_hash: str
    note: str | None


def shrink(data: bytes, *, short_side: int = 256) -> Picture:
    """Checks and shrinks a picture so that its shorter side has at most `short_side` pixels; never enlarges.

    The result is upright (EXIF), in sRGB, has transparency on white, and is the first frame of an animation that shows
    something. A small JPEG that is upright and in sRGB keeps its coded data. PictureError says why a picture cannot be
    used.
    """
    if not data:
        raise PictureError("picture_empty", "the picture has no bytes")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    data = repaired(data)
    source = read_container(data)
    with open_picture(source) as image:
        _check_shape(image.width, image.height)
        conversion, note = colours_of(profile_of(source, image), image.mode)
        with _one_large if image.width * image.height > _LARGE else contextlib.nullcontext():
            if source.jpeg and not source.jpeg.is_ended:
                if not (whole := with_end(data, source.jpeg)):
                    raise PictureError("picture_truncated", "the end of the picture's data is missing")
                source = read_container(whole)
                image = open_picture(source)
            is_small = source.jpeg and min(image.size) <= short_side and orientation(source.exif) == 1
            if is_small and not conversion and (kept := _with_its_coding(image, source.data, note)):
                return kept
            rgb = _decoded(image, source, short_side, conversion)
    out = io.BytesIO()
    rgb.save(out, "JPEG", quality=JPEG_QUALITY)
    return _picture(rgb.size, out.getvalue(), note)


def _decoded(image: Image.Image, source: Source, short_side: int, conversion: Conversion | None) -> Image.Image:
    scale = min(1.0, short_side / min(image.size))
    image.draft(None, (round(image.width * scale), round(image.height * scale)))  # JPEG decodes smaller, faster
    try:
        image.load()
        rgb = shrink_to_rgb(image, short_side, conversion)
        if image.format in ANIMATED and is_one_colour(rgb):
            rgb = frame_that_shows(image, rgb, short_side, conversion)
        rgb = turn_upright(rgb, orientation(source.exif) if source.exif else orientation_of(image))
    except PictureError:
        raise
    except Exception as fault:  # decoders raise errors of any kind for damaged data
        if source.coding:
            raise not_allowed(f"a {source.coding} JPEG") from fault
        raise PictureError("picture_truncated", f"the picture's data is cut off or damaged ({fault})") from fault
    finally:
        image.close()
    rgb.info = {}  # the stored form has no comments or profiles
    return rgb


def _with_its_coding(image: Image.Image, data: bytes, note: str | None) -> Picture | None:
    """The JPEG with its own coded data; None where it must be encoded again."""
    jpeg = strip_metadata(data) if image.mode in ("RGB", "L") else None
    if not jpeg or len(jpeg) > _MOST_KEPT * image.width * image.height:
        return None
    try:
        return _picture(image.size, jpeg, note)  # the perceptual hash decodes all data, so damage is noticed
    except Exception:
        return None


def _picture(size: tuple[int, int], jpeg: bytes, note: str | None) -> Picture:
    # imagehash uses 32 × 32 gray pixels, so decoding to 64 is enough.
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", (_HASHED_SIDE, _HASHED_SIDE))
        perceptual_hash = _perceptual_hash(image)
        note = note or ("it has one colour" if is_one_colour(image) else None)
    return Picture(hashlib.sha256(jpeg).hexdigest(), jpeg, *size, perceptual_hash, note)


def _perceptual_hash(image: Image.Image) -> str:
    """The hash of the stored form."""
    return str(imagehash.phash(image))


def _check_shape(width: int, height: int) -> None:
    size = f"the picture has {width} × {height} pixels"
    if width * height > MAX_PIXELS:
        raise PictureError("picture_too_large", f"{size}; at most {MAX_PIXELS} are decoded")
    if min(width, height) < MIN_SIDE:
        raise PictureError("picture_too_small", f"{size}; each side needs at least {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError("picture_extreme_shape", f"{size}; one side is over {MAX_ASPECT} times the other")
