"""Damages pictures at random and shrinks them: `fuzz_pictures.py --minutes 10 --seed 1`.

Each must give a Picture or a PictureError, within ten seconds of the processor and the memory allowed, and no
process may die. What fails is written to a folder. The same seed damages the same pictures in the same way.
"""

import argparse
import collections
import io
import json
import multiprocessing
import os
import random
import resource
import signal
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[4]))
from catalog_io.pictures.decoding.shrink import Picture, shrink
from schemas.pictures import PictureError
from tests.catalog_io.pictures.decoding.fuzz_colours import insert_png_colours, insert_profile, profiles

REAL = Path(__file__).parents[5] / "shared" / "data" / "hm" / "images"
SECONDS = 10
MEMORY = 3_000_000_000
BATCH = 400
NUMBERS = (0, 1, 2, 3, 7, 8, 15, 16, 127, 128, 255, 256, 4096, 9459, 16383, 32767, 32768, 65535, 2**31 - 1, 2**32 - 1)
SPREAD_DAMAGE = 6


def seeds() -> list[bytes]:
    """Pictures of all formats and modes, and real ones where they are."""
    texture = np.random.default_rng(1).integers(0, 255, (10, 8, 4), dtype=np.uint8)
    small = Image.fromarray(texture).resize((80, 100), Image.Resampling.BICUBIC)
    large = small.resize((600, 700))
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        *((small.convert(mode), "JPEG", {}) for mode in ("RGB", "L", "CMYK", "1")),
        (small.convert("RGB"), "JPEG", {"progressive": True, "exif": exif, "icc_profile": b"profile", "comment": "c"}),
        (small.convert("RGB"), "JPEG", {"restart_marker_rows": 1, "subsampling": 0}),
        (large.convert("RGB"), "JPEG", {"quality": 30}),
        (large.convert("RGB"), "JPEG", {"quality": 30, "progressive": True, "exif": exif}),
        (small.convert("RGB"), "MPO", {"save_all": True, "append_images": [small.convert("RGB")]}),
        *((small.convert(mode), "PNG", {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")),
        (Image.fromarray(texture[:, :, 0].astype(np.uint16) * 257).resize((80, 100)), "PNG", {}),
        (small.convert("RGB"), "PNG", {"exif": exif, "transparency": (1, 2, 3), "dpi": (72, 72)}),
        (small.quantize(16), "PNG", {"transparency": b"\0\x80", "bits": 4}),
        (small, "PNG", {"save_all": True, "append_images": [small.rotate(90, expand=True)]}),
        (large, "PNG", {}),
        *((small.convert(mode), "GIF", {"comment": b"c"}) for mode in ("P", "L")),
        (small, "GIF", {"save_all": True, "append_images": [small.rotate(180)], "transparency": 3}),
        (small, "WEBP", {"exif": exif}),
        (small.convert("RGB"), "WEBP", {}),
        (small, "WEBP", {"lossless": True}),
        (small, "WEBP", {"save_all": True, "append_images": [small.rotate(180)]}),
        (small, "AVIF", {"speed": 10, "exif": exif}),
        (small.convert("RGB"), "AVIF", {"speed": 10, "subsampling": "4:4:4"}),
        *((small.convert(mode), "BMP", {}) for mode in ("RGB", "RGBA", "L", "P", "1")),
        (small.convert("RGB"), "TIFF", {}),
        *(
            (image, kind, {"icc_profile": profile})
            for image in (small.convert("RGB"), large.convert("RGB"), small.convert("CMYK"), small.convert("L"))
            for profile in profiles()
            for kind in ("JPEG", *(("PNG", "WEBP", "AVIF") if image.mode == "RGB" and image.size == small.size else ()))
        ),
    ]
    found = []
    for image, kind, options in made:
        out = io.BytesIO()
        image.save(out, kind, **options)
        found.append(out.getvalue())
    return found + [path.read_bytes() for path in sorted(REAL.glob("*.jpg"))[:20]]


def damaged(dice: random.Random, pictures: list[bytes]) -> bytes:
    """One of them after some of the changes below; checksums of PNG are put right now and then."""
    data = bytearray(dice.choice(pictures))
    for _ in range(dice.randint(1, 3)):
        data = dice.choice(CHANGES)(dice, data, pictures)
    if data.startswith(b"\x89PNG") and dice.random() < 0.8:
        _sum_up(data)
    return bytes(data)


def _flip(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    for _ in range(dice.randint(1, SPREAD_DAMAGE)):
        if data:
            data[dice.randrange(len(data))] = dice.randrange(256)
    return data


def _flip_header(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    for _ in range(dice.randint(1, SPREAD_DAMAGE)):
        if data:
            data[dice.randrange(min(len(data), 400))] ^= 1 << dice.randrange(8)
    return data


def _cut(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    return data[: dice.randrange(len(data) + 1)]


def _splice(dice: random.Random, data: bytearray, pictures: list[bytes]) -> bytearray:
    other = dice.choice(pictures)
    return data[: dice.randrange(len(data) + 1)] + other[dice.randrange(len(other)) :]


def _repeat(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    start = dice.randrange(len(data) + 1)
    piece = data[start : start + dice.randint(1, 300)]
    return data[:start] + piece * dice.choice((2, 3, 50, 1000)) + data[start:]


def _remove(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    start = dice.randrange(len(data) + 1)
    return data[:start] + data[start + dice.randint(1, 300) :]


def _number(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    """Lengths, sizes and counts stand in the first bytes, as a rule."""
    kind = dice.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(kind)
    if len(data) > 40:
        at = dice.randrange(min(len(data), dice.choice((40, 400, 10**9))) - size)
        struct.pack_into(kind, data, at, dice.choice(NUMBERS) % (1 << 8 * size))
    return data


def _dimensions(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    width, height = dice.choice(NUMBERS[5:-2]), dice.choice(NUMBERS[5:-2])
    if data.startswith(b"\x89PNG") and len(data) > 24:
        struct.pack_into(">II", data, 16, width, height)
    elif data.startswith(b"GIF8") and len(data) > 10:
        struct.pack_into("<HH", data, 6, width, height)
    elif data.startswith(b"BM") and len(data) > 26:
        struct.pack_into("<ii", data, 18, width, dice.choice((height, -height)))
    elif data[8:12] == b"WEBP" and len(data) > 30:
        struct.pack_into("<HH", data, 26, width & 0x3FFF, height & 0x3FFF)
    elif data.startswith(b"\xff\xd8"):
        for frame in (b"\xff\xc0", b"\xff\xc2"):
            if 0 < (at := data.find(frame)) < len(data) - 9:
                struct.pack_into(">HH", data, at + 5, height, width)
    elif (at := data.find(b"ispe")) > 0 and len(data) > at + 16:
        struct.pack_into(">II", data, at + 8, width, height)
    return data


def _shuffle(dice: random.Random, data: bytearray, _: list[bytes]) -> bytearray:
    """Chunks and segments lost, doubled, and in another order."""
    head, pieces = _pieces(data)
    if not pieces:
        return data
    match dice.randrange(3):
        case 0:
            dice.shuffle(pieces)
        case 1:
            pieces.insert(dice.randrange(len(pieces)), dice.choice(pieces))
        case 2:
            del pieces[dice.randrange(len(pieces))]
    return bytearray(head + b"".join(pieces))


def _pieces(data: bytearray) -> tuple[bytes, list[bytes]]:
    if data.startswith(b"\x89PNG"):
        at, kind, more = 8, ">I", 12
    elif data[8:12] == b"WEBP":
        at, kind, more = 12, "<4xI", 8
    elif data[4:8] == b"ftyp":
        at, kind, more = 0, ">I", 0
    elif data.startswith(b"\xff\xd8"):
        at, kind, more = 2, ">2xH", 2
    else:
        return bytes(data), []
    head, pieces = bytes(data[:at]), []
    while len(data) - at > 8 and not (kind == ">2xH" and data[at + 1] == 0xDA):
        size = max(1, struct.unpack_from(kind, data, at)[0] + more)
        pieces.append(bytes(data[at : at + size]))
        at += size
    return head, [*pieces, bytes(data[at:])]


def _sum_up(data: bytearray) -> None:
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + struct.unpack_from(">I", data, at)[0]
        if end + 4 > len(data):
            return
        struct.pack_into(">I", data, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4


Change = Callable[[random.Random, bytearray, list[bytes]], bytearray]
CHANGES: list[Change] = [
    *(_flip, _flip_header, _cut, _splice, _repeat, _remove, _number, _dimensions, _shuffle),
    *(insert_profile, insert_profile, insert_png_colours),
]


def run_batch(seed: str, pictures: list[bytes], until: float, items: int, current: Path, results: Connection) -> None:
    """In a process of its own, which the alarm ends; `current` holds what it was working on."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    dice = random.Random(seed)  # noqa: S311
    codes: collections.Counter[str] = collections.Counter()
    slowest, failures = 0.0, []
    while codes.total() < items and time.time() < until:
        data = damaged(dice, pictures)
        current.write_bytes(data)
        # By default both signals end the process. Of the processor's time, since others may be using it, too.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.alarm(10 * SECONDS)
        began = time.process_time()
        try:
            outcome = shrink(data)
            _check(outcome)
            codes["a picture"] += 1
        except PictureError as fault:
            codes[fault.code] += 1
            if isinstance(fault.__cause__, MemoryError):
                codes["FAILED: memory"] += 1
                failures.append(("memory", data))
        except BaseException as fault:
            codes[f"FAILED: {type(fault).__name__}"] += 1
            failures.append((f"{type(fault).__name__}: {fault}", data))
        slowest = max(slowest, time.process_time() - began)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.send((codes, slowest, memory, failures))


def _check(picture: Picture) -> None:
    with Image.open(io.BytesIO(picture.jpeg)) as stored:
        assert (stored.format, stored.size) == ("JPEG", (picture.width, picture.height))
        assert stored.convert("RGB").size == stored.size
    assert len(picture.hash) == 64 and len(picture.perceptual_hash) == 16


def main() -> None:
    """Prints a summary; exits 1 where anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--items", type=int, default=10**9, help="stop after so many, if that is sooner")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--failures", type=Path, default=Path("fuzz-failures"), help="folder for what failed")
    options = parser.parse_args()
    until, batch, pictures = time.time() + 60 * options.minutes, 0, seeds()
    codes: collections.Counter[str] = collections.Counter()
    slowest, memory = 0.0, 0.0
    current = Path(f"/tmp/fuzz-pictures-{os.getpid()}")  # noqa: S108
    fork = multiprocessing.get_context("fork")
    while time.time() < until and codes.total() < options.items:
        receiver, sender = fork.Pipe(duplex=False)
        items = min(BATCH, options.items - codes.total())
        child = fork.Process(
            target=run_batch, args=(f"{options.seed}-{batch}", pictures, until, items, current, sender)
        )
        child.start()
        sender.close()
        try:
            found, slow, used, failures = receiver.recv()
        except EOFError:
            child.join()
            what = (
                "hang" if child.exitcode in (-signal.SIGALRM, -signal.SIGPROF) else f"process died ({child.exitcode})"
            )
            found, slow, used = collections.Counter({f"FAILED: {what}": 1}), 0.0, 0.0
            failures = [(what, current.read_bytes())]
        child.join()
        codes, slowest, memory, batch = codes + found, max(slowest, slow), max(memory, used), batch + 1
        for what, data in failures:
            options.failures.mkdir(parents=True, exist_ok=True)
            name = f"{batch:05}-{zlib.crc32(data):08x}"
            (options.failures / name).write_bytes(data)
            print(f"{options.failures / name}: {what[:200]}", flush=True)
    current.unlink(missing_ok=True)
    print(json.dumps(dict(codes.most_common()), indent=2))
    print(f"{codes.total()} damaged pictures; slowest {slowest * 1000:.0f} ms; peak memory {memory:.0f} MiB")
    sys.exit(any("FAILED" in code for code in codes))


if __name__ == "__main__":
    main()
