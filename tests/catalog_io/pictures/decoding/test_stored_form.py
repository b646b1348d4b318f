"""The stored form: small JPEGs keep their coding, and the same picture always has the same hash."""

import hashlib
import io

import imagehash
import numpy as np
import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from tests.catalog_io.pictures.decoding.made_pictures import NOISE, SMALL, encoded


def test_comments_are_not_kept() -> None:
    assert b"secret" not in shrink(encoded(NOISE, "JPEG", comment=b"secret")).jpeg


def test_the_same_picture_has_the_same_hash() -> None:
    data = encoded(NOISE, "PNG")
    assert shrink(data) == shrink(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"keep_rgb": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_small_jpeg_keeps_its_coding(mode: str, options: dict[str, object]) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "secret", 1
    bare = encoded(SMALL.convert(mode), "JPEG", quality=70, **options)
    more = {"exif": exif, "comment": b"secret", "icc_profile": b"secret" * 20_000}
    full = encoded(SMALL.convert(mode), "JPEG", quality=70, **more, **options)
    picture = shrink(full + b"secret")
    assert picture._replace(note=None) == shrink(bare)
    assert picture.jpeg == bare and picture.hash == hashlib.sha256(bare).hexdigest()
    assert (picture.width, picture.height) == SMALL.size
    stored, came = Image.open(io.BytesIO(picture.jpeg)), Image.open(io.BytesIO(full))
    assert np.array_equal(np.asarray(stored.convert("RGB")), np.asarray(came.convert("RGB")))


def test_some_small_jpegs_are_encoded_again() -> None:
    turned = Image.Exif()
    turned[0x0112] = 3
    for data in (
        encoded(SMALL, "JPEG", exif=turned),
        encoded(SMALL.convert("CMYK"), "JPEG"),
        encoded(NOISE, "JPEG", quality=100, subsampling=0),  # over 3 bytes a pixel
        encoded(SMALL, "PNG"),
    ):
        picture = shrink(data)
        assert picture.jpeg[:4] == b"\xff\xd8\xff\xe0" and picture.jpeg not in data
        assert len(picture.jpeg) < 3 * picture.width * picture.height
        assert shrink(picture.jpeg) == picture


def test_shrinking_a_stored_picture_changes_nothing() -> None:
    first = shrink(encoded(Image.effect_noise((700, 900), 60).convert("RGB"), "PNG"))
    assert shrink(first.jpeg).jpeg == first.jpeg


def test_the_perceptual_hash_is_imagehashs() -> None:
    y, x = np.mgrid[0:640, 0:512]
    image = Image.fromarray(
        np.stack([x // 2, y // 3, 127 + 120 * np.sin(x / 60) * np.cos(y / 90)], axis=2).astype("u1")
    )
    expected = imagehash.phash(image)
    for data in (encoded(image, "PNG"), encoded(image, "JPEG"), encoded(image.resize((200, 250)), "JPEG", quality=60)):
        found = shrink(data).perceptual_hash
        assert len(found) == 16 and imagehash.hex_to_hash(found) - expected <= 4
    assert imagehash.hex_to_hash(shrink(encoded(image.rotate(90), "PNG")).perceptual_hash) - expected > 12
