"""Pictures a second on one core: `OMP_NUM_THREADS=1 python tests/benchmarks/pictures.py`.

Seconds of the processor. The ways take turns within one run, so that a busy machine slows all of them; what counts
is their ratio.
"""

import argparse
import hashlib
import io
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2]))
from catalog_io.pictures.decoding import shrink as images
from catalog_io.pictures.decoding.open import FORMATS

Way = Callable[[bytes], object]


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """Detail of all sizes, as photographs have it."""
    dice, total = np.random.default_rng(seed), np.full((height, width, 3), 128, np.float32)
    for octave in range(1, 9):
        spots = Image.fromarray(dice.integers(0, 256, (2**octave, 2**octave, 3), dtype=np.uint8))
        total += (np.asarray(spots.resize((width, height), Image.Resampling.BICUBIC), np.float32) - 128) / 1.5**octave
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """At a camera's usual quality."""
    out = io.BytesIO()
    image.save(out, kind, quality=85, **options)
    return out.getvalue()


def decode_only(data: bytes) -> None:
    """As little as the codec can be asked for."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        scale = min(1.0, 256 / min(image.size))
        image.draft(None, (round(image.width * scale), round(image.height * scale)))
        image.load()


def decode_stored(jpeg: bytes) -> str:
    """What the perceptual hash is made from, and no more."""
    with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as image:
        image.draft("L", (64, 64))
        image.load()
    return ""


def without_perceptual_hash(data: bytes) -> None:
    """`shrink`, which still decodes what it stores."""
    kept = images._perceptual_hash
    images._perceptual_hash = decode_stored
    try:
        images.shrink(data)
    finally:
        images._perceptual_hash = kept


def sha256_only(data: bytes) -> None:
    """Of the stored form's size, about."""
    hashlib.sha256(data[:20_000]).hexdigest()


WAYS: dict[str, Way] = {
    "decoding only (the codec's limit)": decode_only,
    "shrink, without the perceptual hash": without_perceptual_hash,
    "shrink": images.shrink,
    "sha256 only": sha256_only,
}


def measure(pictures: list[bytes], rounds: int) -> dict[str, float]:
    """Median seconds a picture, by way."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            began = time.process_time()
            for data in pictures:
                way(data)
            times[name].append((time.process_time() - began) / len(pictures))
    return {name: statistics.median(taken) for name, taken in times.items()}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    large = [photograph(800, 1000, seed) for seed in range(6)]
    sizes = {
        "800 × 1000 JPEG": [encoded(image) for image in large],
        "192 × 288 JPEG": [encoded(image.resize((192, 288))) for image in large] * 6,
        "800 × 1000 PNG": [encoded(image, "PNG") for image in large[:2]],
        "800 × 1000 WebP": [encoded(image, "WEBP") for image in large[:3]],
    }
    for size, pictures in sizes.items():
        print(f"\n{size}, {sum(map(len, pictures)) / len(pictures) / 1000:.0f} kB each")
        taken = measure(pictures, rounds)
        whole = taken["shrink"]
        for name, seconds in taken.items():
            print(f"  {name:38}{1 / seconds:9.0f} a second   {seconds / whole:5.2f} of shrink's time")


if __name__ == "__main__":
    main()
