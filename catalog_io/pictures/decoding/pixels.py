"""Shrinks and turns decoded pictures of any mode, without a full-size copy of a large one."""

import numpy as np
from PIL import Image

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


def shrink_to_rgb(image: Image.Image, short_side: int) -> Image.Image:
    """The picture in RGB, transparency on white, with a shorter side of at most `short_side` pixels; never enlarged."""
    scale = min(1.0, short_side / min(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # First fast averages over whole pixels, down to twice the size; then the filter.
    factor = max(1, int(min(image.size) / min(size) / 2))
    reduced = _reduced(image, factor)
    if reduced.size == size:
        return reduced
    box = (0, 0, image.width / factor, image.height / factor)
    # Nearly as exact as BICUBIC when shrinking, in two thirds of the time.
    return reduced.resize(size, Image.Resampling.HAMMING, box=box)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """The picture in RGB, `factor` times smaller. Works band by band: copies of a whole picture would be gigabytes."""
    rows = max(1, _BAND_PIXELS // image.width // factor) * factor
    if rows >= image.height:
        return _rgb(image).reduce(factor) if factor > 1 else _rgb(image)
    reduced = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        reduced.paste(_rgb(band).reduce(factor), (0, top // factor))
    return reduced


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow's own conversion clips at 255
        values = np.asarray(image)
        eight_bits = (values.astype(np.float32) / 257 + 0.5).clip(0, 255).astype(np.uint8)
        if isinstance(hidden := image.info.get("transparency"), int):
            eight_bits[values == hidden] = 255
        return Image.fromarray(eight_bits).convert("RGB")
    if image.has_transparency_data:
        see_through = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, see_through).convert("RGB")
    return image.convert("RGB")
