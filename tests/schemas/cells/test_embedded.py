"""Base64 in cells, as OFA-Sys/OFA#53 and OFA-Sys/OFA#106 write it, and data URIs."""

import base64
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cells.embedded import embedded

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256))
TEXT = base64.b64encode(JPEG).decode()


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        base64.urlsafe_b64encode(JPEG).decode(),
        str(base64.b64encode(JPEG)),
        TEXT.rstrip("="),
        "\n".join(TEXT[n : n + 76] for n in range(0, len(TEXT), 76)),
        f"data:image/jpeg;base64,{TEXT}",
        f"data:image/jpeg;charset=utf-8;base64,{quote(TEXT, safe='')}",
        f"DATA:;base64,{TEXT}",
    ],
)
def test_pictures_as_text(text: str) -> None:
    assert embedded(text) == JPEG


def test_text_that_was_cut_off_is_read_as_far_as_it_goes() -> None:
    for cut in range(1, 5):
        data = embedded(TEXT.rstrip("=")[:-cut])
        assert data and JPEG.startswith(data) and len(data) >= len(JPEG) - 4


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "a.jpg",
            "/9j/a.jpg",
            "/9j/folder/a",
            "iVBORw0KGgo",
            "data:image/svg+xml,%3Csvg/%3E",
            "data:,",
            "b'a.jpg'",
        ),
        *("https://shop.example/" + "a" * 300, "a" * 300 + ".jpg", "data:image/png;base64,***", "å" * 300),
    ],
)
def test_other_text(text: str) -> None:
    assert embedded(text) is None


@given(st.binary(min_size=200, max_size=300))
def test_long_base64_is_read_whatever_it_contains(data: bytes) -> None:
    assert embedded(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize("text", ["data:" + ";a" * 500_000, "b'" + "a" * 1_000_000, "/9j/" + "A" * 5_000_000 + "!"])
def test_long_texts_take_time_in_proportion(text: str) -> None:
    start = time.process_time()
    embedded(text)
    assert time.process_time() - start < 5
