"""Turns untrusted bytes into a small upright RGB JPEG, or raises PictureError that says why it cannot."""

import contextlib
import hashlib
import io
import threading
from typing import NamedTuple

import imagehash
from PIL import Image

from catalog_io.pictures.decoding.jpeg import orientation, strip_metadata
from catalog_io.pictures.decoding.open import MAX_PIXELS, open_picture, orientation_of, without_metadata
from catalog_io.pictures.decoding.pixels import shrink_to_rgb, turn_upright
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
    """

    hash: str
    jpeg: bytes
    width: int
    height: int
    perceptual_hash: str


def shrink(data: bytes, *, short_side: int = 256) -> Picture:
    """Checks and shrinks a picture so that its shorter side has at most `short_side` pixels; never enlarges.

    The result is upright (EXIF), has transparency on white, and is the first frame of an animation. A JPEG that is
    small and upright keeps its coded data. PictureError says why a picture cannot be used.
    """
    if not data:
        raise PictureError("picture_empty", "the picture has no bytes")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    data, exif = without_metadata(data)
    with open_picture(data) as image:
        _check_shape(image.width, image.height)
        is_small = image.format == "JPEG" and min(image.size) <= short_side and orientation(exif) == 1
        if is_small and (kept := _with_its_coding(image, data)):
            return kept
        rgb = _decoded(image, exif, short_side)
    out = io.BytesIO()
    rgb.save(out, "JPEG", quality=JPEG_QUALITY)
    return _picture(rgb.size, out.getvalue())


def _decoded(image: Image.Image, exif: bytes, short_side: int) -> Image.Image:
    scale = min(1.0, short_side / min(image.size))
    with _one_large if image.width * image.height > _LARGE else contextlib.nullcontext():
        image.draft(None, (round(image.width * scale), round(image.height * scale)))  # JPEG decodes smaller, faster
        try:
            image.load()
            rgb = turn_upright(shrink_to_rgb(image, short_side), orientation(exif) if exif else orientation_of(image))
        except PictureError:
            raise
        except Exception as fault:  # decoders raise errors of any kind for damaged data
            raise PictureError("picture_truncated", f"the picture's data is cut off or damaged ({fault})") from fault
        finally:
            image.close()
    rgb.info = {}  # the stored form has no comments or profiles
    return rgb


def _with_its_coding(image: Image.Image, data: bytes) -> Picture | None:
    """The JPEG with its own coded data; None where it must be encoded again."""
    jpeg = strip_metadata(data) if image.mode in ("RGB", "L") else None
    if not jpeg or len(jpeg) > _MOST_KEPT * image.width * image.height:
        return None
    try:
        return _picture(image.size, jpeg)  # the perceptual hash decodes all data, so damage is noticed
    except Exception:
        return None


def _picture(size: tuple[int, int], jpeg: bytes) -> Picture:
    return Picture(hashlib.sha256(jpeg).hexdigest(), jpeg, *size, _perceptual_hash(jpeg))


def _perceptual_hash(jpeg: bytes) -> str:
    """The hash of the stored form. imagehash uses 32 × 32 gray pixels, so decoding to 64 is enough."""
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", (_HASHED_SIDE, _HASHED_SIDE))
        return str(imagehash.phash(image))


def _check_shape(width: int, height: int) -> None:
    size = f"the picture has {width} × {height} pixels"
    if width * height > MAX_PIXELS:
        raise PictureError("picture_too_large", f"{size}; at most {MAX_PIXELS} are decoded")
    if min(width, height) < MIN_SIDE:
        raise PictureError("picture_too_small", f"{size}; each side needs at least {MIN_SIDE}")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise PictureError("picture_extreme_shape", f"{size}; one side is over {MAX_ASPECT} times the other")
