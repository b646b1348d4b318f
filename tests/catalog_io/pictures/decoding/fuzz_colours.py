"""Colour profiles, good, broken and hostile, and the colour chunks of PNG, for `fuzz_pictures.py`."""

import random
import struct
import zlib
from functools import cache

import numpy as np
from PIL import ImageCms

from catalog_io.pictures.decoding.profiles import profile_of_codes, profile_of_png

_PIECE = 65_000  # bytes of a profile in one segment of a JPEG
_HUGE = 6_000_000


@cache
def profiles() -> list[bytes]:
    """Sane profiles of RGB, gray and CMYK: of primaries, of tables, and one that is sRGB."""
    gray = _profile(b"GRAY", b"XYZ ", {b"wtpt": _XYZ, b"kTRC": struct.pack(">4sIIH", b"curv", 0, 1, 0x0199)})
    return [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        profile_of_codes(9, 4),
        profile_of_codes(12, 13),
        profile_of_png({b"gAMA": struct.pack(">I", 100_000)}),
        gray,
        _profile(b"RGB ", b"Lab ", {b"wtpt": _XYZ, b"A2B0": _table(3, 9)}),
        _profile(b"CMYK", b"Lab ", {b"wtpt": _XYZ, b"A2B0": _table(4, 7)}, kind=b"prtr"),
        _profile(b"RGB ", b"Lab ", {b"wtpt": _XYZ, b"A2B0": _table(3, 33)}),
    ]


def damaged_profile(dice: random.Random) -> bytes:
    """One of them after some damage, most often in its header and table of tags; or an absurd or a huge one."""
    data = bytearray(dice.choice(profiles()))
    match dice.randrange(8):
        case 0:
            pass
        case 1:
            del data[dice.randrange(len(data)) :]
        case 2:  # a table of many dimensions, points and steps
            tags = {b"wtpt": _XYZ, b"A2B0": _lying_table(dice)}
            data = bytearray(_profile(dice.choice((b"RGB ", b"GRAY", b"CMYK")), b"Lab ", tags))
        case 3:  # as many tags as it has bytes, all of the same place
            size = dice.choice((1000, 100_000, _HUGE))
            data[128:132] = struct.pack(">I", size // 12)
            data += (dice.choice((b"A2B0", b"rTRC", b"D2B0", b"desc")) + struct.pack(">II", 132, 100)) * (size // 12)
            struct.pack_into(">I", data, 0, len(data))
        case 4:  # a curve of as many points as there are bytes
            size = dice.choice((4096, 65_535, _HUGE // 2))
            curve = struct.pack(">4sII", b"curv", 0, dice.choice((size, 2**32 - 1))) + dice.randbytes(2) * size
            data = bytearray(_profile(b"RGB ", b"XYZ ", {b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}))
        case _:
            for _ in range(dice.randint(1, 8)):
                at = dice.randrange(min(len(data), dice.choice((132, 400, 10**9))))
                data[at] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
    return bytes(data)


def insert_profile(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    """Gives a JPEG or PNG a profile; in other formats, writes one over some bytes."""
    profile = damaged_profile(dice)
    if data.startswith(b"\xff\xd8"):
        pieces = [profile[at : at + _PIECE] for at in range(0, len(profile), _PIECE)][:255]
        segments = [
            b"\xff\xe2" + struct.pack(">H", len(piece) + 16) + b"ICC_PROFILE\0" + bytes((number, len(pieces))) + piece
            for number, piece in enumerate(pieces, 1)
        ]
        return data[:2] + b"".join(segments) + data[2:]
    if data.startswith(b"\x89PNG"):
        return _with_chunk(data, b"iCCP", b"p\0\0" + zlib.compress(profile, 1))
    at = dice.randrange(len(data) + 1)
    return data[:at] + profile[:4096] + data[at + len(profile[:4096]) :]


def insert_png_colours(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    """Gives a PNG some of the chunks gAMA, cHRM, sRGB and cICP, with sane and absurd numbers."""
    if not data.startswith(b"\x89PNG"):
        return data

    def number() -> int:
        return dice.choice((0, 1, 31270, 45455, 64000, 100_000, 2**31 - 1, 2**32 - 1, dice.randrange(200_000)))

    for kind in dice.sample((b"gAMA", b"cHRM", b"sRGB", b"cICP"), dice.randint(1, 3)):
        sizes = {b"gAMA": 1, b"cHRM": 8}
        body = struct.pack(f">{sizes.get(kind, 0)}I", *(number() for _ in range(sizes.get(kind, 0))))
        body = body or dice.randbytes(4 if kind == b"cICP" else 1)
        data = _with_chunk(data, kind, body[: dice.choice((len(body), len(body), dice.randrange(len(body) + 1)))])
    return data


def _with_chunk(data: bytearray, kind: bytes, body: bytes) -> bytearray:
    chunk = struct.pack(">I", len(body)) + kind + body
    return data[:33] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + data[33:]


_XYZ = struct.pack(">4sI3i", b"XYZ ", 0, 63190, 65536, 54061)


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    table, body, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02400000, kind, space, connection)
    return header.ljust(36, b"\0") + b"acsp".ljust(32, b"\0") + _XYZ[8:].ljust(60, b"\0") + table + body


def _table(channels: int, points: int) -> bytes:
    """An mft1 table whose lightness falls, or rises for light, with the mean of the channels."""
    axes = np.meshgrid(*[np.linspace(0, 255, points)] * channels, indexing="ij")
    mean = np.mean(axes, axis=0).ravel()
    light = 255 - mean if channels == 4 else mean
    colours = np.stack([light, np.full_like(mean, 128), np.full_like(mean, 128)], axis=-1).astype(np.uint8)
    head = struct.pack(">4sI4B9i", b"mft1", 0, channels, 3, points, 0, *(65536 * (n % 4 == 0) for n in range(9)))
    return head + bytes(range(256)) * channels + colours.tobytes() + bytes(range(256)) * 3


def _lying_table(dice: random.Random) -> bytes:
    kind = dice.choice((b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet"))
    numbers = (dice.choice((0, 1, 3, 4, 15, 16, 255)), dice.choice((0, 1, 3, 16, 255)), dice.choice((0, 2, 33, 255)), 0)
    size = dice.choice((100, 5000, 300_000, _HUGE))
    return struct.pack(">4sI4B", kind, 0, *numbers) + dice.randbytes(100) + dice.randbytes(4) * (size // 4)
