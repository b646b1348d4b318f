"""Silhouettes of the sample's dresses: one cut for each style, as polygons in pixels of a 200x320 picture.

x is 0 in the middle and grows to the right, y is 0 at the shoulders and grows downward: a waist is at y = 78,
a knee at 165, the floor at 250. A cut lists the points of its right half from neck to hem; the left mirrors
them unless it has its own.
"""

from dataclasses import dataclass

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mark:
    """A line on the cloth, or an area if `width` is 0, `shade` times as bright as the cloth around it."""

    points: Points
    shade: float = 0.6
    width: int = 2
    both_sides: bool = False


@dataclass(frozen=True)
class Cut:
    """The outline of a dress, and the lines on it."""

    right: Points
    left: Points | None = None
    sleeve: Points | None = None
    left_sleeve: bool = True
    marks: tuple[Mark, ...] = ()

    def shapes(self) -> list[Points]:
        """The closed polygons whose union is the garment."""
        left = self.left if self.left is not None else mirrored(self.right)
        shapes = [self.right + left[::-1]]
        if self.sleeve:
            shapes += [self.sleeve, mirrored(self.sleeve)] if self.left_sleeve else [self.sleeve]
        return shapes


def mirrored(points: Points) -> Points:
    return tuple((-x, y) for x, y in points)


def points(text: str) -> Points:
    """'0,36 14,27' as ((0, 36), (14, 27))."""
    pairs = (pair.split(",") for pair in text.split())
    return tuple((float(x), float(y)) for x, y in pairs)


def _across(y: float, half: float, shade: float = 0.6, width: int = 2) -> Mark:
    return Mark(((-half, y), (0, y + 2), (half, y)), shade, width)


_LONG_SLEEVE = points("30,3 38,4 50,40 62,112 49,116 41,70 30,40")
_WIDE_SLEEVE = points("30,4 40,8 58,50 74,106 58,118 45,78 30,52")
_SHORT_SLEEVE = points("28,2 37,4 54,38 39,47 28,34")
_ELBOW_SLEEVE = points("28,2 38,4 62,64 45,72 28,40")
_FLARED_SLEEVE = points("28,2 37,5 52,52 72,90 44,98 40,60 28,38")
_WAIST = _across(78, 25, 0.7)
_BUTTONS = tuple(Mark(((-2, y), (2, y)), 0.35, 4) for y in range(30, 160, 16))

CUTS: dict[str, Cut] = {
    "a-line": Cut(
        points("0,18 12,14 16,0 30,2 29,22 31,42 24,78 38,120 57,168 0,175"),
        marks=(_WAIST,),
    ),
    "ball gown": Cut(
        points("0,36 14,27 28,30 31,46 23,80 60,108 78,165 89,240 60,247 0,249"),
        marks=(_WAIST,),
    ),
    "blazer": Cut(
        points("0,72 13,0 39,3 36,42 31,76 38,108 42,136 0,138"),
        sleeve=_LONG_SLEEVE,
        marks=(
            Mark(points("0,72 13,0 24,10 29,28 21,30 24,36"), 0.62, 0, True),
            Mark(points("0,72 2,138"), 0.5, 3),
            Mark(points("9,84 11,84"), 0.3, 6, True),
            Mark(points("9,100 11,100"), 0.3, 6, True),
            Mark(points("16,112 34,110"), 0.5, 3, True),
        ),
    ),
    "bodycon": Cut(
        points("0,27 14,25 17,0 26,0 28,24 31,44 24,76 33,106 27,142 0,143"),
    ),
    "bubble": Cut(
        points("0,30 28,29 31,46 24,76 50,88 69,114 62,140 34,151 0,152"),
        marks=(_WAIST, Mark(points("-36,144 0,147 36,144"), 0.6, 3)),
    ),
    "halter": Cut(
        points("0,-6 9,-9 12,2 28,40 30,50 24,80 42,130 60,202 0,207"),
        marks=(_WAIST, Mark(points("0,-6 0,22"), 0.65)),
    ),
    "handkerchief": Cut(
        points("0,34 18,28 20,0 25,0 27,28 30,44 25,78 44,122 78,200 46,160 28,204 0,150"),
        marks=(_WAIST,),
    ),
    "high-low": Cut(
        points("0,34 14,27 28,30 31,46 24,78 46,118 70,190 56,226 0,236"),
        marks=(_WAIST, Mark(points("0,120 32,132 69,190 56,226 0,236"), 0.6, 0, True)),
    ),
    "kaftan": Cut(
        points("0,34 12,0 40,3 89,84 82,120 47,112 45,150 50,226 0,229"),
        marks=(Mark(points("0,34 0,60"), 0.6),),
    ),
    "maxi": Cut(
        points("0,15 12,11 17,0 37,4 31,42 24,78 36,120 56,246 0,250"),
        sleeve=_SHORT_SLEEVE,
        marks=(_WAIST,),
    ),
    "mermaid": Cut(
        points("0,40 14,28 20,2 26,2 29,30 31,44 24,78 34,112 25,168 34,188 72,246 0,250"),
        marks=(Mark(points("-26,170 0,176 26,170"), 0.7),),
    ),
    "off-shoulder": Cut(
        points("0,24 30,22 54,14 64,46 31,52 24,80 42,128 52,178 0,183"),
        marks=(Mark(points("-62,46 -30,50 0,52 30,50 62,46"), 0.55, 3), _WAIST),
    ),
    "one-shoulder": Cut(
        points("-8,20 14,0 37,3 31,42 25,78 34,112 38,246 0,249"),
        left=points("-8,20 -29,36 -31,46 -25,78 -34,112 -36,150 -42,246 -24,248 -20,162"),
        sleeve=_LONG_SLEEVE,
        left_sleeve=False,
    ),
    "peplum": Cut(
        points("0,25 17,25 18,0 28,0 29,24 31,44 23,74 58,108 31,112 32,126 25,172 0,173"),
        marks=(_WAIST, Mark(points("-56,107 -28,114 0,116 28,114 56,107"), 0.5, 4)),
    ),
    "shift": Cut(
        points("0,8 22,3 38,3 38,40 40,80 44,154 0,156"),
        sleeve=_ELBOW_SLEEVE,
    ),
    "shirt": Cut(
        points("0,24 10,-2 37,3 32,42 27,78 38,112 43,158 34,176 0,180"),
        sleeve=_LONG_SLEEVE,
        marks=(
            Mark(points("0,24 8,-6 19,0 16,24"), 1.4, 0, True),
            Mark(points("0,24 0,180"), 0.7),
            *_BUTTONS,
            _across(78, 29, 0.4, 8),
        ),
    ),
    "skater": Cut(
        points("0,14 14,10 16,0 36,3 47,22 31,28 31,42 23,76 50,98 80,134 40,143 0,146"),
        marks=(_WAIST,),
    ),
    "slip": Cut(
        points("0,46 18,28 19,0 22,0 23,28 30,46 27,78 34,112 37,204 0,206"),
    ),
    "sweater": Cut(
        points("0,-14 12,-14 15,0 40,7 42,60 44,116 37,132 37,144 0,145"),
        sleeve=_WIDE_SLEEVE,
        marks=(
            Mark(points("-13,-3 0,0 13,-3"), 0.6, 3),
            *(Mark(((x, 130), (x, 144)), 0.65) for x in range(-32, 34, 8)),
            Mark(points("-42,129 42,129"), 0.65),
            Mark(points("57,102 72,94"), 0.6, 3, True),
        ),
    ),
    "tiered": Cut(
        points("0,27 17,25 19,0 27,0 28,26 31,44 26,72 46,112 37,114 62,158 50,160 78,206 0,210"),
        marks=(
            Mark(points("-26,72 0,74 26,72"), 0.55, 3),
            Mark(points("-44,113 0,118 44,113"), 0.45, 4),
            Mark(points("-60,159 0,165 60,159"), 0.45, 4),
        ),
    ),
    "wrap": Cut(
        points("2,58 15,0 37,3 31,42 24,78 36,112 50,184 24,190 12,140"),
        left=points("2,58 -15,0 -37,3 -31,42 -24,78 -36,112 -50,178 -24,184 -6,176"),
        sleeve=_FLARED_SLEEVE,
        marks=(
            Mark(points("15,0 2,58 -24,78"), 0.45, 3),
            Mark(points("-24,78 0,80 25,78"), 0.45, 5),
            Mark(points("-22,80 12,142"), 0.5, 3),
            Mark(points("-22,80 -30,116"), 0.4, 5),
        ),
    ),
}
