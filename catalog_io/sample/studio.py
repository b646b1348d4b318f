"""Renders photographs of the sample's dresses: cut, cloth, folds, light, stand and backdrop, as a JPEG."""

import io
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from catalog_io.sample.fabrics import PATTERNS, Cloth, Plane, noise
from catalog_io.sample.garments import CUTS, Cut, Points, mirrored, points
from catalog_io.sample.palette import PALETTE, RGB, second_colors

WIDTH, HEIGHT = 200, 320
_FINE = 2  # outlines are drawn twice as large, then reduced: cheap anti-aliasing
_ROWS, _COLUMNS = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
_BACKDROPS = (
    (236, 236, 236),
    (222, 224, 228),
    (240, 234, 224),
    (220, 230, 236),
    (238, 226, 226),
    (206, 206, 204),
)
_BODIES = ((226, 206, 188), (196, 164, 136), (176, 176, 178), (90, 84, 80))
_BODY = points("0,-30 9,-28 10,-6 34,4 30,26 30,44 23,78 31,108 14,120 0,122")
_POLE = points("3,60 3,262 26,268 26,271 0,271")
_WOODS = ((96, 62, 36), (60, 60, 62), (170, 130, 84))
_BAR = points("-35,6 0,-10 35,6 -35,6")
_HOOK = points("0,-10 0,-18 5,-23 4,-30 -2,-32 -6,-28")


class _Pose:
    """Where the dress hangs in the picture: scale, turn and shift, and the dress's own length and width."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.scale = rng.uniform(0.92, 1.02)
        turn = rng.normal(0, 0.028)
        self.cos, self.sin = float(np.cos(turn)), float(np.sin(turn))
        self.x, self.y = WIDTH / 2 + rng.uniform(-5, 5), 46 + rng.uniform(-5, 7)
        self.stretch = np.array([rng.uniform(0.95, 1.05), rng.uniform(0.97, 1.02)])

    def place(self, outline: Points, shape: bool = True) -> list[float]:
        """x, y, x, y … of an outline on the dress in the enlarged drawing; a shape's corners get rounded."""
        corners = np.array(outline) * self.stretch
        if shape:
            corners = _rounded(corners)
        x, y = corners.T * self.scale
        placed = np.stack([x * self.cos - y * self.sin + self.x, x * self.sin + y * self.cos + self.y], 1)
        return [float(v) for v in (placed * _FINE).ravel()]

    def dress_coordinates(self, picture_x: Plane, picture_y: Plane) -> tuple[Plane, Plane]:
        """Coordinates on the dress (across, down), in pixels, of pixels of the picture."""
        x, y = picture_x - self.x, picture_y - self.y
        cos, sin = (self.cos / self.scale), (self.sin / self.scale)
        return x * cos + y * sin, y * cos - x * sin


def _rounded(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cuts each corner 3 px before and after it (never more than a third of an edge)."""
    edges = np.roll(corners, -1, 0) - corners
    length = np.hypot(*edges.T)[:, None] + 1e-9
    step = edges * np.minimum(3 / length, 0.33)
    return np.stack([corners + step, np.roll(corners, -1, 0) - step], 1).reshape(-1, 2)


def _drawn(pose: _Pose, shapes: Iterable[Points]) -> Image.Image:
    drawing = Image.new("L", (WIDTH * _FINE, HEIGHT * _FINE))
    draw = ImageDraw.Draw(drawing)
    for shape in shapes:
        draw.polygon(pose.place(shape), fill=255)
    return drawing.reduce(_FINE)


def _plane(image: Image.Image, scale: float = 255) -> Plane:
    return np.asarray(image, np.float32) / scale


def _marks(pose: _Pose, cut: Cut) -> Plane:
    """Brightness factors of seams, buttons, collars, linings."""
    drawing = Image.new("L", (WIDTH * _FINE, HEIGHT * _FINE), 100)
    draw = ImageDraw.Draw(drawing)
    for mark in cut.marks:
        for line in (mark.points, mirrored(mark.points)) if mark.both_sides else (mark.points,):
            fill = round(100 * mark.shade)
            if mark.width:
                draw.line(pose.place(line, shape=False), fill=fill, width=mark.width * _FINE, joint="curve")
            else:
                draw.polygon(pose.place(line), fill=fill)
    return _plane(drawing.reduce(_FINE), 100)


def _mix(canvas: Plane, color: Plane, amount: Plane) -> Plane:
    """canvas, color: (3, height, width) or (3, 1, 1); amount: (height, width)."""
    mixed = (color - canvas) * amount
    mixed += canvas
    return mixed


def _window(drawing: Image.Image) -> tuple[slice, slice]:
    """The rows and columns that a drawing covers: only they are painted."""
    left, top, right, bottom = drawing.getbbox() or (0, 0, WIDTH, HEIGHT)
    return slice(top, bottom), slice(left, right)


def _paint(canvas: Plane, drawing: Image.Image, color: Plane) -> None:
    rows, columns = _window(drawing)
    canvas[:, rows, columns] = _mix(canvas[:, rows, columns], color, _plane(drawing)[rows, columns])


def _solid_color(rng: np.random.Generator, color: RGB, spread: float) -> Plane:
    shade = np.array(color) * rng.uniform(0.94, 1.04) + rng.normal(0, spread, 3)
    return np.clip(shade, 0, 255).astype(np.float32)[:, None, None]


def _backdrop(rng: np.random.Generator, pose: _Pose, cut: Cut, mask: Image.Image) -> Plane:
    """A lit studio wall, the dress's shadow on it, and what holds the dress up: (3, height, width)."""
    wall = _solid_color(rng, _BACKDROPS[rng.integers(len(_BACKDROPS))], 3)
    slope_x, slope_y = rng.uniform(-0.0005, 0.0005, 2).tolist()
    light = 1 + slope_x * (_COLUMNS - WIDTH / 2) + slope_y * (_ROWS - HEIGHT / 2)
    if rng.random() < 0.4:
        light[rng.integers(285, 305) :] *= 0.93  # the floor
    shadow = mask.reduce(4).filter(ImageFilter.BoxBlur(3)).resize(mask.size, Image.Resampling.BILINEAR)
    moved = np.roll(_plane(shadow), (int(rng.integers(2, 9)), int(rng.integers(-10, 11))), (0, 1))
    canvas: Plane = wall * (light * (1 - rng.uniform(0.15, 0.4) * moved))
    kind = rng.choice(["stand", "hanger", "none"], p=[0.45, 0.35, 0.2])
    if kind == "hanger" and min(y for _, y in cut.right) > 10:
        kind = "stand"  # a strapless dress has nothing for a hanger to hold
    if kind == "stand":
        shapes = [half + mirrored(half)[::-1] for half in (_BODY, _POLE)]
        _paint(canvas, _drawn(pose, shapes), _solid_color(rng, _BODIES[rng.integers(len(_BODIES))], 4))
    if kind == "hanger":
        drawing = Image.new("L", (WIDTH * _FINE, HEIGHT * _FINE))
        for wire, width in ((_BAR, 8), (_HOOK, 4)):
            flat = pose.place(wire, shape=False)
            ImageDraw.Draw(drawing).line(flat, fill=255, width=width, joint="curve")
        _paint(canvas, drawing.reduce(_FINE), _solid_color(rng, _WOODS[rng.integers(len(_WOODS))], 3))
    return canvas


def _folds(rng: np.random.Generator, across: Plane, down: Plane) -> Plane:
    """Brightness of the folds in [−1, 1]; they widen and deepen toward the hem."""
    spread = across / (28 + 0.24 * np.maximum(down, 0))
    sway = rng.uniform(0.2, 0.6) * np.sin(down / rng.uniform(35, 60) + rng.uniform(0, 6))
    ripple = np.sin(spread * rng.uniform(4.5, 8) + sway + rng.uniform(0, 6))
    folds: Plane = ripple * np.clip((down - 30) / 130, 0.2, 1)
    return folds


def _height_above(mask: Plane, down: Plane) -> Callable[[float], float]:
    """`Cloth.above` of a dress that covers `mask`."""
    shares = np.cumsum(mask.sum(1)) / mask.sum()
    heights = down[:, down.shape[1] // 2]
    return lambda share: float(np.interp(share, shares, heights))


def photograph(rng: np.random.Generator, *, color: str, pattern: str, style: str) -> bytes:
    """A JPEG of 200x320 pixels showing a dress of the packaged taxonomy's values.

    The same generator state gives the same bytes. KeyError for a value that cannot be drawn.
    """
    cut, pose = CUTS[style], _Pose(rng)
    outline = _drawn(pose, cut.shapes())
    window = _window(outline)
    mask = _plane(outline)[window]
    across, down = pose.dress_coordinates(_COLUMNS[window], _ROWS[window])
    folds = _folds(rng, across, down)

    cloth = Cloth(across + 2 * folds, down, _height_above(mask, down))
    shares = PATTERNS[pattern](rng, cloth)
    dress = _solid_color(rng, PALETTE[color], 4)
    for over, share in zip(second_colors(rng, pattern, PALETTE[color]), shares, strict=False):
        dress = _mix(dress, _solid_color(rng, over, 4), share)

    rim = _plane(outline.filter(ImageFilter.BoxBlur(5)))[window]  # falls off toward the outline
    light = 1 + 0.17 * folds + 0.02 * noise(rng, mask.shape, 32) + rng.uniform(-0.0016, 0.0016) * across
    light *= (0.7 + 0.32 * np.minimum(1.15 * rim, 1)) * _marks(pose, cut)[window]
    dress = dress * light + (10 + 9 * folds)  # a little gloss, so that black cloth shows its folds too

    picture = _backdrop(rng, pose, cut, outline)
    picture[:, *window] = _mix(picture[:, *window], dress, mask)
    exposure = rng.uniform(0.94, 1.04) * (1 + rng.normal(0, 0.012, 3))
    picture *= exposure[:, None, None]
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    np.clip(picture, 0, 255, out=pixels.transpose(2, 0, 1), casting="unsafe")
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    return file.getvalue()
