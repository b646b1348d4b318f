"""Shrinks and turns decoded pictures of any mode, without a full-size copy of a large one."""

from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from catalog_io.pictures.decoding.colour import Conversion

_BAND_PIXELS = 4_000_000
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture turned and mirrored according to its EXIF orientation (1 to 8)."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def shrink_to_rgb(
    image: Image.Image, short_side: int, conversion: Conversion | None = None, *, background: str = "white"
) -> Image.Image:
    """The picture in sRGB, transparency on the background, with a shorter side of at most `short_side` pixels; never
    enlarged. Colours are converted after shrinking, which costs little, or before transparency is lost."""
    flat = partial(_flat, conversion=conversion, background=background)
    scale = min(1.0, short_side / min(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # First fast averages over whole pixels, down to twice the size; then the filter.
    factor = max(1, int(min(image.size) / min(size) / 2))
    reduced = _reduced(image, factor, flat)
    if reduced.size != size:
        box = (0, 0, image.width / factor, image.height / factor)
        # Nearly as exact as BICUBIC when shrinking, in two thirds of the time.
        reduced = reduced.resize(size, Image.Resampling.HAMMING, box=box)
    return conversion(reduced) if conversion and not _is_see_through(image) else reduced


def _reduced(image: Image.Image, factor: int, flat: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture without transparency, `factor` times smaller. Works band by band: copies of a whole picture would be
    gigabytes."""
    rows = max(1, _BAND_PIXELS // image.width // factor) * factor
    if rows >= image.height:
        return flat(image).reduce(factor) if factor > 1 else flat(image)
    reduced = None
    for top in range(0, image.height, rows):
        band = flat(image.crop((0, top, image.width, min(top + rows, image.height))))
        reduced = reduced or Image.new(band.mode, (-(-image.width // factor), -(-image.height // factor)))
        reduced.paste(band.reduce(factor), (0, top // factor))
    assert reduced
    return reduced


def _is_see_through(image: Image.Image) -> bool:
    return image.has_transparency_data and not image.mode.startswith("I")


def _flat(image: Image.Image, conversion: Conversion | None, background: str) -> Image.Image:
    """The picture in RGB (CMYK, where that is to be converted). Only see-through pictures are converted here."""
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion clips at 255
        values = np.asarray(image)
        eight_bits = (values.astype(np.float32) / 257 + 0.5).clip(0, 255).astype(np.uint8)
        if isinstance(hidden := image.info.get("transparency"), int):
            eight_bits[values == hidden] = 255 if background == "white" else 0
        return Image.fromarray(eight_bits).convert("RGB")
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        if conversion:
            converted = conversion(see_through.convert("RGB"))
            converted.putalpha(see_through.getchannel("A"))
            see_through = converted
        return Image.alpha_composite(Image.new("RGBA", image.size, background), see_through).convert("RGB")
    return image if conversion and conversion.mode == "CMYK" else image.convert("RGB")
