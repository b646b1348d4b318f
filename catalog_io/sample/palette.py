"""Colours of the sample's dresses, and which second colours stand out from them."""

import numpy as np

RGB = tuple[int, int, int]

PALETTE: dict[str, RGB] = {
    "black": (27, 27, 29),
    "white": (246, 246, 244),
    "gray": (138, 140, 143),
    "beige": (218, 196, 156),
    "brown": (110, 66, 34),
    "red": (214, 24, 32),
    "burgundy": (106, 12, 40),
    "pink": (248, 138, 184),
    "orange": (246, 122, 20),
    "yellow": (250, 214, 42),
    "green": (30, 146, 60),
    "olive": (112, 116, 44),
    "turquoise": (32, 186, 184),
    "blue": (34, 92, 222),
    "navy": (22, 32, 92),
    "purple": (122, 36, 156),
    "lavender": (186, 162, 230),
}
# Colours of prints and trimmings.
_SECONDS: tuple[RGB, ...] = (
    *((248, 247, 243), (20, 20, 22), (240, 220, 180), (24, 34, 90), (60, 30, 18)),
    *((250, 214, 60), (190, 24, 40), (250, 170, 200), (130, 210, 220), (20, 80, 50)),
)


def lightness(color: RGB) -> float:
    """The perceived lightness of a colour, from 0 (black) to 1 (white)."""
    return (0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]) / 255


def _toward(color: RGB, end: int, share: float) -> RGB:
    red, green, blue = (round(level + (end - level) * share) for level in color)
    return red, green, blue


def second_colors(rng: np.random.Generator, pattern: str, ground: RGB) -> tuple[RGB, RGB]:
    """A second and a third colour that stand out from the ground."""
    light = lightness(ground)
    if pattern == "camouflage":  # its colours are shades of one
        dark = _toward(ground, 0, 0.58) if light > 0.3 else _toward(ground, 255, 0.32)
        return dark, _toward(ground, 255, 0.5) if light < 0.75 else _toward(ground, 0, 0.28)
    if pattern == "animal print":
        return ((34, 22, 14), (120, 74, 36)) if light > 0.4 else ((226, 190, 132), (150, 104, 60))
    if pattern in ("tie-dye", "ombre") and light < 0.7:
        return (250, 250, 248), (250, 250, 248)
    choices = [c for c in _SECONDS if abs(lightness(c) - light) > 0.34]
    first = choices[rng.integers(len(choices))]
    return first, (250, 214, 60) if lightness(first) < 0.7 else (214, 60, 40)
