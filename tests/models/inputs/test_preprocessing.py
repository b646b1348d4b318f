import io

import numpy as np
import pytest
from PIL import Image
from simplejpeg import decode_jpeg

from models.inputs.preprocessing import Processor, trim
from schemas.errors import ConfigurationError
from tests.models.tiny import CONTEXT, END, SIDE, START, jpeg


def processor(backbone: str, size: tuple[int, int] = (SIDE, SIDE), *, trims: bool = True) -> Processor:
    return Processor(backbone=backbone, image_size=size, context_length=CONTEXT, trims_titles=trims)


def flag(size: tuple[int, int]) -> bytes:
    """Green in the middle third of the longer side, red at its ends."""
    width, height = size
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = 255
    third = max(size) // 3
    middle = (slice(third, 2 * third), slice(None)) if height > width else (slice(None), slice(third, 2 * third))
    pixels[middle] = (0, 255, 0)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.mark.parametrize("size", [(96, 288), (288, 96)])
def test_square_networks_see_the_centre(backbone_name: str, size: tuple[int, int]) -> None:
    picture = processor(backbone_name).picture(flag(size))
    assert picture.shape == (SIDE, SIDE, 3) and picture.dtype == np.uint8
    inner = picture[2:-2, 2:-2].astype(int)
    assert (abs(inner - [0, 255, 0]) < 40).all()


def test_portrait_networks_see_the_whole_picture(backbone_name: str) -> None:
    picture = processor(backbone_name, (128, 80)).picture(flag((200, 300))).astype(int)
    assert picture.shape == (128, 80, 3)
    for row, color in ((10, (255, 0, 0)), (64, (0, 255, 0)), (118, (255, 0, 0))):
        assert (abs(picture[row] - color) < 40).all()


@pytest.mark.parametrize("size", [(192, 288), (61, 83), (256, 256), (24, 40)])
def test_pictures_are_scaled_as_pillow_does(backbone_name: str, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90)
    with Image.open(out) as image:
        expected = np.asarray(image.convert("RGB").resize((60, 96), Image.Resampling.BICUBIC), dtype=int)
    picture = processor(backbone_name, (96, 60)).picture(out.getvalue())
    assert abs(picture - expected).max() <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_modes_become_rgb(backbone_name: str, mode: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), (90, 90, 90)).convert(mode).save(out, "JPEG")
    picture = processor(backbone_name).picture(out.getvalue())
    assert (abs(picture.astype(int) - 90) < 8).all()


def test_a_picture_that_is_merely_odd_is_read(backbone_name: str) -> None:
    """As Pillow reads it, which let it into the catalogue."""
    whole = flag((96, 96))
    tables = whole.index(b"\xff\xc4")
    odd = whole[:tables] + bytes(50) + whole[tables:]
    with pytest.raises(ValueError, match="extraneous"):
        decode_jpeg(odd)
    np.testing.assert_array_equal(*(processor(backbone_name).picture(data) for data in (odd, whole)))


@pytest.mark.parametrize("damaged", [b"", b"not a picture", jpeg()[:200], b"\x89PNG\r\n\x1a\n"])
def test_bytes_that_are_no_jpeg_raise(backbone_name: str, damaged: bytes) -> None:
    with pytest.raises((OSError, ValueError)):
        processor(backbone_name).picture(damaged)


def test_many_pictures_at_once_keep_their_places(backbone_name: str) -> None:
    done = list[int]()
    jpegs = [jpeg((250, 0, 0)), None, jpeg((0, 0, 250))]
    pictures = processor(backbone_name).pictures(jpegs, threads=3, progress=done.append)
    assert pictures[:, 16, 16].round(-1).tolist() == [[250, 0, 0], [0, 0, 0], [0, 0, 250]]
    assert sum(done) == 3
    assert processor(backbone_name).pictures([]).shape == (0, SIDE, SIDE, 3)


def test_tokens_are_trimmed_to_the_longest_title(backbone_name: str) -> None:
    tokens = processor(backbone_name).tokens(["Red dress", ""])
    assert tokens.tolist() == [[START, 736, 2595, END], [START, END, 0, 0]]
    assert processor(backbone_name).tokens([""]).tolist() == [[START, END]]
    cut = processor(backbone_name).tokens(["red " * 50])
    assert cut.shape == (1, CONTEXT) and cut[0, -1] == END
    assert processor(backbone_name, trims=False).tokens(["Red dress", ""]).shape == (2, CONTEXT)


def test_trim_leaves_a_column() -> None:
    assert trim(np.array([[4, 0, 5, 0], [6, 0, 0, 0]])).tolist() == [[4, 0, 5], [6, 0, 0]]
    assert trim(np.zeros((2, 3), dtype=np.int64)).tolist() == [[0], [0]]


def test_pictures_stored_too_small_are_refused_by_setting(backbone_name: str) -> None:
    processor(backbone_name, (128, 80)).require_stored_size(80)
    with pytest.raises(ConfigurationError, match=r"ingest\.picture_size = 224 or more"):
        processor(backbone_name, (224, 224)).require_stored_size(223)
