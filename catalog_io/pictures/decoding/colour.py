"""Converts pictures from the colours of their ICC profile to sRGB.

The intent is perceptual, which browsers use too: for a profile of tables, as presses have, it is their first table; for
one of primaries all intents are the same.
"""

import io
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from catalog_io.pictures.decoding.profiles import HIGH_DYNAMIC_RANGE, MAX_PROFILE_BYTES

Pixels = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]

_MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
_GRAY_MODES = ("1", "L", "I", "F")
_SMALLEST, _HEADER = 132, 128  # bytes
_ALIKE = 2  # levels of 255, which nobody sees
_STEPS = np.arange(0, 256, 15, dtype=np.uint8)
_GRID = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS), axis=-1).reshape(-1, 3)
# Black, middle gray and white, and the levels of sRGB at which a sane profile has them.
_EXTREMES = {
    "RGB": np.array([[0, 0, 0], [128, 128, 128], [255, 255, 255]], np.uint8),
    "L": np.array([[0], [128], [255]], np.uint8),
    "CMYK": np.array([[255, 255, 255, 255], [0, 0, 0, 128], [0, 0, 0, 0]], np.uint8),
}
_DARKEST_WHITE, _LIGHTEST_BLACK, _MIDDLE = 200, 100, (20, 240)


class Conversion(NamedTuple):
    """A conversion from a profile's colours, of pictures of `mode`: RGB, L (gray) or CMYK."""

    mode: str
    transform: ImageCms.ImageCmsTransform

    def __call__(self, image: Image.Image) -> Image.Image:
        """The picture in sRGB; gray may come as RGB."""
        if self.mode == "L" and image.mode == "RGB":
            image = image.getchannel(0)
        converted = ImageCms.applyTransform(image, self.transform)
        assert converted
        return converted


class Colours(NamedTuple):
    """How a picture becomes sRGB: None where it is so already; `note`: why its profile is not used, or None."""

    conversion: Conversion | None = None
    note: str | None = None


def colours_of(profile: bytes, mode: str) -> Colours:
    """How a picture of this mode becomes sRGB by this profile ("" for none)."""
    if not profile:
        return Colours()
    colours = _read(profile)
    if colours.note:
        return colours
    kind = _MODES[profile[16:20]]
    fits = kind == "CMYK" if mode == "CMYK" else kind == "RGB" or (kind == "L" and mode.startswith(_GRAY_MODES))
    return colours if fits else _ignored("is for another kind of picture")


@lru_cache(maxsize=8)  # of up to 4 MB each; a shop's pictures have few profiles
def _read(profile: bytes) -> Colours:
    if profile == HIGH_DYNAMIC_RANGE:
        return _ignored("is of high dynamic range")
    size, kind, space = int.from_bytes(profile[:4]), profile[12:16], profile[16:20]
    if len(profile) > MAX_PROFILE_BYTES:
        return _ignored(f"has over {MAX_PROFILE_BYTES // 1_000_000} MB")
    if not _SMALLEST <= size <= len(profile) or profile[36:40] != b"acsp":
        return _ignored("is damaged")
    if kind not in _CLASSES or space not in _MODES:
        return _ignored("is of a kind that pictures do not have")
    tags = min(int.from_bytes(profile[_HEADER : _HEADER + 4]), 100)
    if any(profile[at : at + 3] == b"D2B" for at in range(_HEADER + 4, _HEADER + 4 + 12 * tags, 12)):
        return _ignored("has pipelines of any length")  # whose time has no bound
    try:
        mode = _MODES[space]
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        return _checked(Conversion(mode, transform))
    except Exception:  # LittleCMS reads profiles that nobody has checked
        return _ignored("is damaged")


def _checked(conversion: Conversion) -> Colours:
    """No conversion where it changes nothing, nor where white becomes dark, black light, or gray either of them."""
    black, middle, white = _converted(conversion, _EXTREMES[conversion.mode])
    is_sane = black.max() <= _LIGHTEST_BLACK and white.min() >= _DARKEST_WHITE
    if not (is_sane and _MIDDLE[0] <= middle.min() and middle.max() <= _MIDDLE[1]):
        return _ignored("is absurd")
    if conversion.mode == "CMYK":
        return Colours(conversion)
    grid = _GRID if conversion.mode == "RGB" else _STEPS[:, None]
    changes = abs(_converted(conversion, grid).astype(np.int16) - grid).max()
    return Colours(conversion if changes > _ALIKE else None)


def _converted(conversion: Conversion, colours: Pixels) -> Pixels:
    image = Image.frombytes(conversion.mode, (len(colours), 1), colours.tobytes())
    converted: Pixels = np.asarray(conversion(image))[0]
    return converted


def _ignored(why: str) -> Colours:
    return Colours(note=f"its colour profile is ignored: it {why}")
