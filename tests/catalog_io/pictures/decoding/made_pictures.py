"""Pictures and picture files of every kind, made here."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from catalog_io.pictures.decoding.shrink import Picture

RNG = np.random.default_rng(7)

NOISE = Image.fromarray(RNG.integers(0, 255, (64, 64, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def pixels(picture: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    image = Image.open(io.BytesIO(picture.jpeg))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (picture.width, picture.height))
    return np.asarray(image).astype(np.int16)


def is_color(picture: Picture, rgb: tuple[int, int, int], tolerance: int = 4) -> bool:
    return bool((abs(pixels(picture) - np.array(rgb)) <= tolerance).all())


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    idat = b"IDAT" + zlib.compress(b"\0" * 1000)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk
        + struct.pack(">I", len(idat) - 4)
        + idat
        + struct.pack(">I", zlib.crc32(idat))
        + end
    )


def bad_crc(data: bytes, chunk: bytes) -> bytes:
    at = data.index(chunk)
    end = at + 4 + struct.unpack(">I", data[at - 4 : at])[0]
    return data[:end] + bytes([data[end] ^ 1]) + data[end + 1 :]


def raw_png(kind: int, values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> bytes:
    """Of 16 bits a channel, which Pillow does not write."""
    height, width = values.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, body) for name, body in chunks)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    return png[:33] + chunk(name, body) + png[33:]


SMALL = Image.fromarray(np.tile(np.arange(0, 240, 2, dtype=np.uint8), (90, 1))).convert("RGB")
