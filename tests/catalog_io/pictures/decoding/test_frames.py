"""An animation is stored by its first frame that shows something; a picture that shows nothing is not stored."""

import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.colour_maths import SPACES, distance, profile, srgb_of
from tests.catalog_io.pictures.decoding.made_pictures import encoded, is_color, pixels
from tests.catalog_io.pictures.decoding.test_colours import mean

SIZE, RED = (300, 300), (200, 30, 60, 255)
OPTIONS = {
    "WEBP": {"lossless": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4", "speed": 10},
    "GIF": {},
    "PNG": {},
}
CLEAR, WHITE, BLACK = (0, 0, 0, 0), (255, 255, 255, 255), (0, 0, 0, 255)


def plain(colour: tuple[int, ...]) -> Image.Image:
    return Image.new("RGBA", SIZE, colour)


def dress(strength: float = 1.0) -> Image.Image:
    """A red dress on white, more or less visible."""
    image = Image.new("RGB", SIZE, "white")
    image.paste(tuple(round(255 - strength * (255 - level)) for level in RED[:3]), (100, 50, 200, 250))
    return image.convert("RGBA")


def animation(kind: str, *frames: Image.Image, **options: object) -> bytes:
    more = {"save_all": True, "append_images": list(frames[1:]), "duration": 100}
    return encoded(frames[0], kind, **more, **OPTIONS[kind], **options)


@pytest.mark.parametrize("first", [CLEAR, WHITE, BLACK, (90, 90, 90, 255)])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_that_shows_something(kind: str, first: tuple[int, ...]) -> None:
    picture = shrink(animation(kind, plain(first), plain(first), dress(), plain(BLACK)))
    assert abs(pixels(picture)[128, 128] - RED[:3]).max() < 8
    assert abs(pixels(picture)[5, 5] - 255).max() < 8
    assert picture.note is None


@pytest.mark.parametrize("first", [CLEAR, WHITE, BLACK])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_frames_of_one_colour_each(kind: str, first: tuple[int, ...]) -> None:
    picture = shrink(animation(kind, plain(first), plain(RED)))
    assert is_color(picture, RED[:3], 8) and picture.note == "it has one colour"


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_a_first_frame_that_shows_something_stays(kind: str) -> None:
    picture = shrink(animation(kind, dress(0.2), dress()))
    assert abs(pixels(picture)[128, 128] - pixels(shrink(encoded(dress(0.2), "PNG")))[128, 128]).max() < 8


def test_a_picture_that_fades_in_is_taken_where_it_is_clear() -> None:
    strengths = [0.0, 0.02, 0.05, 0.1, 0.6, 1.0]
    picture = shrink(animation("WEBP", *map(dress, strengths)))
    assert abs(pixels(picture)[128, 128] - pixels(shrink(encoded(dress(0.6), "PNG")))[128, 128]).max() < 8
    faint = shrink(animation("WEBP", *map(dress, strengths[:4])))
    assert abs(pixels(faint)[128, 128] - pixels(shrink(encoded(dress(0.1), "PNG")))[128, 128]).max() < 8


def test_frames_are_converted_to_srgb() -> None:
    data = animation("WEBP", plain(CLEAR), plain(RED), icc_profile=profile("ProPhoto RGB"))
    assert distance(mean(shrink(data)), srgb_of(RED[:3], *SPACES["ProPhoto RGB"])) < 2


def test_the_search_ends_after_some_frames() -> None:
    frames = [plain((level, level, level, 255)).resize((32, 32)) for level in (0, 1) * 60]
    picture = shrink(animation("WEBP", *frames, dress().resize((32, 32))))
    assert is_color(picture, (0, 0, 0), 8)


@pytest.mark.parametrize("colour", [CLEAR, (200, 30, 60, 0), (255, 255, 255, 0)])
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_what_is_transparent_everywhere_is_refused(kind: str, colour: tuple[int, ...]) -> None:
    for data in (encoded(plain(colour), kind, **OPTIONS[kind]), animation(kind, plain(colour), plain(colour))):
        with pytest.raises(PictureError) as fault:
            shrink(data)
        assert fault.value.code == "picture_blank"


def test_gray_and_palettes_that_are_transparent_everywhere_are_refused() -> None:
    palette = Image.new("P", SIZE, 0)
    palette.putpalette([1, 2, 3])
    key = Image.new("RGB", SIZE, (9, 9, 9))
    for data in (
        encoded(Image.new("LA", SIZE, (99, 0)), "PNG"),
        encoded(palette, "PNG", transparency=0),
        encoded(key, "PNG", transparency=(9, 9, 9)),
        encoded(Image.fromarray(np.full(SIZE, 500, np.uint16)), "PNG", transparency=500),
    ):
        with pytest.raises(PictureError, match="picture_blank"):
            shrink(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("size", [(64, 64), (600, 500)])
def test_a_picture_of_one_colour_is_kept_with_a_note(kind: str, size: tuple[int, int]) -> None:
    picture = shrink(encoded(Image.new("RGB", size, RED[:3]), kind))
    assert is_color(picture, RED[:3], 6) and picture.note == "it has one colour"
    assert shrink(encoded(dress().convert("RGB").resize(size), kind)).note is None


def test_an_animation_that_is_damaged_after_its_first_frame() -> None:
    data = animation("GIF", plain(WHITE), dress(), dress(0.5))
    for cut in (20, len(data) // 4):
        assert shrink(data[:-cut]).width == 256
