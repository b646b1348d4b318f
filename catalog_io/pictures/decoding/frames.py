"""Chooses the frame of an animation that stands for it."""

import numpy as np
from PIL import Image

from catalog_io.pictures.decoding.colour import Conversion
from catalog_io.pictures.decoding.pixels import shrink_to_rgb
from schemas.pictures import PictureError

ANIMATED = ("GIF", "PNG", "WEBP", "AVIF", "HEIF")
_ONE_COLOUR = 8  # levels of 255 that the pixels of one colour may differ by, for codecs that lose some
_CLEAR = 2  # levels of 255
_CLEARLY = 64  # levels that a frame must span, unless none does: the first frames of a fade span few
_MOST_FRAMES, _MOST_PIXELS = 100, 200_000_000


def is_one_colour(image: Image.Image) -> bool:
    """Whether all pixels of an RGB or gray picture have about the same colour."""
    return _span(image) <= _ONE_COLOUR


def frame_that_shows(
    image: Image.Image, first: Image.Image, short_side: int, conversion: Conversion | None
) -> Image.Image:
    """The first frame, shrunk, that shows something, for a picture whose first frame is of one colour.

    Where each frame is of one colour, it is the first one, or, if that is white, gray or black, the next of another
    colour. PictureError for a picture that is transparent everywhere.
    """
    # What is clear shows the background, whatever its colour.
    on_black = shrink_to_rgb(image, short_side, background="black") if image.has_transparency_data else first
    is_clear = _corner(first) == (255, 255, 255) and max(_corner(on_black)) <= _CLEAR and is_one_colour(on_black)
    best, other = first, None
    for number in range(1, min(_MOST_FRAMES, _MOST_PIXELS // (image.width * image.height) + 2)):
        try:
            image.seek(number)
            frame = shrink_to_rgb(image, short_side, conversion)
        except Exception:  # the animation ends, or is damaged from here on
            break
        if _span(frame) >= _CLEARLY:
            return frame
        if _span(frame) > max(_span(best), _ONE_COLOUR):
            best = frame
        elif not other and _differ(_corner(frame), _corner(first)):
            other = frame
    if best is first and other and max(_corner(first)) - min(_corner(first)) <= _ONE_COLOUR:
        return other
    if best is first and is_clear:
        raise PictureError("picture_blank", "the picture is transparent everywhere, so it shows nothing")
    return best


def _span(image: Image.Image) -> int:
    """The largest difference of levels within a band."""
    extremes = np.array([band.getextrema() for band in image.split()])  # much faster than numpy on the pixels
    return int((extremes[:, 1] - extremes[:, 0]).max())


def _corner(image: Image.Image) -> tuple[int, ...]:
    corner = image.getpixel((0, 0))
    assert isinstance(corner, tuple)
    return corner


def _differ(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return max(abs(a - b) for a, b in zip(one, other, strict=True)) > _ONE_COLOUR
