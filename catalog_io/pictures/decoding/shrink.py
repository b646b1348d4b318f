"""One picture from untrusted bytes to a small upright RGB JPEG, or a PictureError that says why not."""

import contextlib
import hashlib
import io
import threading
from typing import NamedTuple

import imagehash
from PIL import Image

from catalog_io.pictures.decoding.jpeg import alone, orientation
from catalog_io.pictures.decoding.open import FORMATS, MAX_PIXELS, opened, orientation_of, without_metadata
from catalog_io.pictures.decoding.pixels import shrunk, upright
from catalog_io.pictures.fetching.fetched import MAX_BYTES, too_many_bytes
from schemas.pictures import PictureError

__all__ = ["FORMATS", "MAX_BYTES", "MAX_PIXELS", "Picture", "PictureError", "shrink"]

MIN_SIDE = 16
MAX_ASPECT = 20
JPEG_QUALITY = 90

_MOST_KEPT = 3  # bytes a pixel of a JPEG that is stored as it came
_HASHED_SIDE = 64
# Decoders take up to 16 bytes a pixel: of the largest pictures, one at a time in each process.
_LARGE = 16_000_000
_one_large = threading.Lock()


class Picture(NamedTuple):
    """`jpeg` is the stored form, `hash` the sha256 of it in hex; width and height in pixels.

    `perceptual_hash`: 16 hex digits (imagehash.phash), few bits of which differ between pictures that look alike.
    """

    hash: str
    jpeg: bytes
    width: int
    height: int
    perceptual_hash: str


def shrink(data: bytes, *, short_side: int = 256) -> Picture:
    """Checks and shrinks a picture so that its shorter side has at most `short_side` pixels; never enlarges.

    Upright by its EXIF data, transparency on white, the first frame of an animation. A JPEG that is small and
    upright keeps its coded data. PictureError otherwise.
    """
    if not data:
        raise PictureError("picture_empty", "the picture has no bytes")
    if len(data) > MAX_BYTES:
        raise too_many_bytes(len(data))
    data, exif = without_metadata(data)
    with opened(data) as image:
        _check_shape(image.width, image.height)
        is_small = image.format == "JPEG" and min(image.size) <= short_side and orientation(exif) == 1
        if is_small and (kept := _as_it_came(image, data)):
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
            rgb = upright(shrunk(image, short_side), orientation(exif) if exif else orientation_of(image))
        except PictureError:
            raise
        except Exception as fault:  # damaged data makes decoders raise anything: the picture is at fault
            raise PictureError("picture_truncated", f"the picture's data is cut off or damaged ({fault})") from fault
        finally:
            image.close()
    rgb.info = {}  # comments and profiles of the original stay out of the stored form
    return rgb


def _as_it_came(image: Image.Image, data: bytes) -> Picture | None:
    """The JPEG's own coding; None where it has to be coded anew."""
    jpeg = alone(data) if image.mode in ("RGB", "L") else None
    if not jpeg or len(jpeg) > _MOST_KEPT * image.width * image.height:
        return None
    try:
        return _picture(image.size, jpeg)  # reads all coded data for the perceptual hash: what is damaged fails
    except Exception:
        return None


def _picture(size: tuple[int, int], jpeg: bytes) -> Picture:
    return Picture(hashlib.sha256(jpeg).hexdigest(), jpeg, *size, _perceptual_hash(jpeg))


def _perceptual_hash(jpeg: bytes) -> str:
    """Of the stored form, whatever it was made from. imagehash looks at 32 × 32 gray pixels: decode few more."""
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
