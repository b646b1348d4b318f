"""Pictures are stored upright."""

import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from tests.catalog_io.pictures.decoding.made_pictures import encoded, is_color, pixels


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(kind: str) -> None:
    image = Image.new("RGB", (120, 80), "white")
    image.paste((255, 0, 0), (0, 0, 60, 80))  # stored: red on the left
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees: red on top
    picture = shrink(encoded(image, kind, exif=exif))
    assert (picture.width, picture.height) == (80, 120)
    got = pixels(picture)
    assert got[10:50, :, 1].mean() < 30 and got[70:110, :, 1].mean() > 225
    assert b"Exif" not in picture.jpeg


def test_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    for kind in ("GIF", "WEBP"):
        assert is_color(shrink(encoded(frames[0], kind, save_all=True, append_images=frames[1:])), (254, 0, 0), 5)


def test_an_avif_is_turned_by_its_own_properties() -> None:
    image = Image.new("RGB", (120, 80), "white")
    image.paste((255, 0, 0), (0, 0, 60, 80))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "secret"
    picture = shrink(encoded(image, "AVIF", exif=exif))
    assert (picture.width, picture.height) == (80, 120)
    got = pixels(picture)
    assert got[10:50, :, 1].mean() < 40 and got[70:110, :, 1].mean() > 215


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation(turn: int) -> None:
    corners = Image.new("RGB", (128, 96), "black")
    corners.paste("white", (0, 0, 64, 48))
    exif = Image.Exif()
    exif[0x0112] = turn
    got = pixels(shrink(encoded(corners, "JPEG", exif=exif)))[:, :, 0]
    half_height, half_width = got.shape[0] // 2, got.shape[1] // 2
    quarters = [got[:half_height, :half_width], got[:half_height, half_width:]]
    quarters += [got[half_height:, :half_width], got[half_height:, half_width:]]
    white = {1: 0, 2: 1, 3: 3, 4: 2, 5: 0, 6: 1, 7: 3, 8: 2}[turn]
    assert [quarter.mean() > 128 for quarter in quarters] == [place == white for place in range(4)]
    assert got.shape == ((96, 128) if turn < 5 else (128, 96))


def test_the_first_picture_of_a_phones_several() -> None:
    frames = [Image.new("RGB", (300, 400), color) for color in ((200, 30, 60), (0, 0, 255))]
    several = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    for data in (several, encoded(frames[0].resize((90, 120)), "MPO", save_all=True, append_images=frames[1:])):
        picture = shrink(data)
        assert is_color(picture, (200, 30, 60), 6)
        assert picture.jpeg.count(b"\xff\xd8\xff") == 1 and b"MPF" not in picture.jpeg
