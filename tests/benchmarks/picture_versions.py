"""Time that pictures take in this code and in an older copy of it: `python tests/benchmarks/picture_versions.py OLD`.

OLD is the folder of the other copy (`git worktree add OLD COMMIT`). A process of each shrinks the same pictures in
turns of a fraction of a second, so that a busy machine slows both; seconds are the processor's.
"""

import argparse
import pickle
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageCms

sys.path.insert(0, str(Path(__file__).parents[2]))
from catalog_io.pictures.decoding.profiles import profile_of_codes
from tests.benchmarks.pictures import encoded, photograph

ROOT = Path(__file__).parents[2]
CHILD = """
import pickle, sys, time
sys.path.insert(0, sys.argv[1])
from catalog_io.pictures.decoding.shrink import shrink
sets = pickle.load(open(sys.argv[2], "rb"))
for line in sys.stdin:
    began = time.process_time()
    for data in sets[line.strip()]:
        shrink(data)
    print(time.process_time() - began, flush=True)
"""


def sets() -> dict[str, list[bytes]]:
    """Pictures without a profile, with that of sRGB, and with one that is converted."""
    large = [photograph(800, 1000, seed) for seed in range(4)]
    small = [image.resize((192, 288)) for image in large] * 4
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    found = {}
    for name, options in (("", {}), (", profile of sRGB", {"icc_profile": srgb})):
        found[f"800 × 1000 JPEG{name}"] = [encoded(image, **options) for image in large]
        found[f"192 × 288 JPEG{name}"] = [encoded(image, **options) for image in small]
        found[f"800 × 1000 PNG{name}"] = [encoded(image, "PNG", **options) for image in large[:1]]
        found[f"800 × 1000 WebP{name}"] = [encoded(image, "WEBP", **options) for image in large[:1]]
    wide = {"icc_profile": profile_of_codes(12, 13)}
    found["800 × 1000 JPEG, profile of Display P3"] = [encoded(image, **wide) for image in large]
    found["192 × 288 JPEG, profile of Display P3"] = [encoded(image, **wide) for image in small]
    grown = [image.resize((3024, 4032), Image.Resampling.BICUBIC) for image in large[:1]]
    found["3024 × 4032 JPEG, profile of Display P3"] = [encoded(image, **wide) for image in grown]
    return found


def measure(old: Path, pictures: dict[str, list[bytes]], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """By set, the seconds of each round: of this code, and of the older."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(pictures))
        file.flush()
        children = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(tree), file.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=tree,
                env={"OMP_NUM_THREADS": "1"},
            )
            for tree in (ROOT, old)
        ]
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pictures}
        for turn in range(rounds + 1):  # the first warms up
            for name in pictures:
                for which in (0, 1) if turn % 2 else (1, 0):
                    child = children[which]
                    assert child.stdin and child.stdout
                    child.stdin.write(name + "\n")
                    child.stdin.flush()
                    seconds = float(child.stdout.readline())
                    if turn:
                        taken[name][which].append(seconds / len(pictures[name]))
        for child in children:
            child.communicate()
        return taken


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("old", type=Path, help="folder of the older copy")
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    print("| pictures | new, ms | old, ms | new ÷ old, median of rounds | new ÷ old, fastest rounds |")
    print("|---|---|---|---|---|")
    for name, (new, old) in measure(options.old.resolve(), sets(), options.rounds).items():
        ratio = statistics.median(one / other for one, other in zip(new, old, strict=True))
        print(f"| {name} | {min(new) * 1e3:.2f} | {min(old) * 1e3:.2f} | {ratio:.2f} | {min(new) / min(old):.2f} |")


if __name__ == "__main__":
    main()
