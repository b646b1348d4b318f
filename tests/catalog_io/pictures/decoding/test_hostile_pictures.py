"""Picture files made to take time or memory: they take little of either."""

import struct
import subprocess
import sys
import time
import tracemalloc

import pytest
from PIL import Image

from catalog_io.pictures.decoding.shrink import shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.made_pictures import NOISE, chunk, encoded, with_chunk

JPEG, PNG, GIF = (encoded(NOISE, kind) for kind in ("JPEG", "PNG", "GIF"))

GIF_TABLES = 13 + 3 * (2 << (GIF[10] & 7))


SLOW = {
    "empty chunks": PNG[:33] + chunk(b"abCd", b"") * 400_000 + PNG[33:],
    "empty data chunks": PNG[:33] + chunk(b"IDAT", b"") * 400_000 + PNG[33:],
    "comments in a GIF": GIF[:GIF_TABLES] + b"!\xfe\1a\0" * 600_000 + GIF[GIF_TABLES:],
    "a comment in many pieces": GIF[:GIF_TABLES] + b"!\xfe" + b"\1a" * 600_000 + b"\0" + GIF[GIF_TABLES:],
    "comments in a JPEG": JPEG[:2] + b"\xff\xfe\0\2" * 20_000 + JPEG[2:],
    "comments after a scan": JPEG[:-2] + b"\xff\xfe\0\2" * 20_000 + b"\xff\xd9",
}


@pytest.mark.parametrize("name", SLOW)
def test_files_in_very_many_pieces(name: str) -> None:
    began = time.perf_counter()
    with pytest.raises(PictureError) as fault:
        shrink(SLOW[name])
    assert fault.value.code == "picture_unreadable" and "pieces" in fault.value.sentence
    assert time.perf_counter() - began < 5


def test_a_jpeg_with_very_many_passes() -> None:
    plain = encoded(Image.new("RGB", (3000, 3000), "red"), "JPEG", progressive=True)
    last_scan = plain[plain.rfind(b"\xff\xda") : -2]
    with pytest.raises(PictureError) as fault:
        shrink(plain[:-2] + last_scan * 1000 + b"\xff\xd9")
    assert fault.value.code == "picture_too_large"


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of the AVIF's block
def test_an_exif_block_does_not_fill_the_memory() -> None:
    """Every entry claims the whole block."""
    entries = b"".join(struct.pack("<HHII", 0x1000 + n, 1, 59_000, 8) for n in range(2000))
    block = (b"II*\0" + struct.pack("<IH", 8, 2000) + entries).ljust(60_000, b"\0")
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 8) + b"Exif\0\0" + block
    tracemalloc.start()
    for kind in ("WEBP", "AVIF"):
        assert shrink(encoded(NOISE, kind, exif=block)).width == 64
    assert shrink(with_chunk(PNG, b"eXIf", block)).width == 64
    assert shrink(JPEG[:2] + segment * 40 + JPEG[2:]).width == 64
    assert tracemalloc.get_traced_memory()[1] < 30_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "CMYK"])
def test_the_largest_pictures_are_not_copied(mode: str) -> None:
    colour = (90, 90, 90, 200) if mode == "RGBA" else 0
    code = f"""
import io, resource
from PIL import Image
from catalog_io.pictures.decoding.shrink import shrink
out = io.BytesIO()
Image.new({mode!r}, (8000, 8000), {colour!r}).save(out, {"JPEG" if mode == "CMYK" else "PNG"!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shrink(out.getvalue())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Of 64 megapixels: writing them took one copy, and reading takes no second one beside its own.
    assert int(done.stdout) < 150_000
