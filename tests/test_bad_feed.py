"""A feed with every kind of bad row and file that we know: each is rejected with its reason, the rest is tagged."""

import csv
import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl
from PIL import Image

from catalog_io.publication import query
from flows.project import Project


def encoded(image: Image.Image, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be of this size and has no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


GOOD = Image.effect_noise((120, 160), 60).convert("RGB")
BAD_PICTURES = {
    "empty.jpg": (b"", "picture_empty"),
    "page.jpg": (b"<!doctype html><title>404</title>", "picture_unreadable"),
    "drawing.jpg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "picture_unreadable"),
    "noise.jpg": (bytes(range(256)) * 4, "picture_unreadable"),
    "cut.jpg": (encoded(GOOD, "JPEG")[:2000], "picture_truncated"),
    "crc.png": (encoded(GOOD, "PNG")[:-400] + b"\0" * 388 + encoded(GOOD, "PNG")[-12:], "picture_truncated"),
    "bomb.png": (png_header(20_000, 10_000), "picture_too_large"),
    "dot.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), "picture_too_small"),
    "ribbon.png": (encoded(Image.new("RGB", (6500, 20)), "PNG"), "picture_extreme_shape"),
    "scan.tif": (encoded(GOOD, "TIFF"), "picture_format_not_allowed"),
    "icon.ico": (encoded(GOOD, "ICO"), "picture_format_not_allowed"),
}
# (listing_id, title, image) → code; "{good}" is a usable picture
BAD_ROWS = [
    ("", "No id", "{good}", "listing_id_missing"),
    ("x" * 201, "Long id", "{good}", "listing_id_too_long"),
    ("a\x07b", "Bell in the id", "{good}", "listing_id_control_character"),
    ("GOOD-0", "The same id again", "{good}", "listing_id_duplicate"),
    ("no-title", "   ", "{good}", "title_missing"),
    ("long-title", "dress " * 400, "{good}", "title_too_long"),
    ("control-title", "red\x00dress", "{good}", "title_control_character"),
    ("no-image", "No picture", "", "image_missing"),
    ("absent", "Absent file", "absent.jpg", "picture_not_found"),
    ("outside", "Outside the root", "../secret.jpg", "picture_outside_root"),
    ("absolute", "Absolute path", "/etc/hostname", "picture_outside_root"),
    ("link", "A link that leads out", "link.jpg", "picture_outside_root"),
    ("folder", "A folder", "folder.jpg", "picture_not_a_file"),
]


def test_all_kinds_of_bad_rows_are_rejected_with_reasons(project_copy: Path) -> None:
    feed = project_copy.parent / "bad"
    (feed / "folder.jpg").mkdir(parents=True)
    (project_copy.parent / "secret.jpg").write_bytes(encoded(GOOD, "JPEG"))
    (feed / "link.jpg").symlink_to(project_copy.parent / "secret.jpg")
    (feed / "good.jpg").write_bytes(encoded(GOOD, "JPEG"))
    rows = [(f"GOOD-{n}", f"A good red dress {n}", "good.jpg") for n in range(3)]
    expected: dict[str, str] = {}
    for listing_id, title, image, code in BAD_ROWS:
        rows.append((listing_id, title, image.format(good="good.jpg")))
        expected[title.strip() or listing_id] = code
    for name, (data, code) in BAD_PICTURES.items():
        (feed / name).write_bytes(data)
        rows.append((f"pic-{name}", f"Picture {name}", name))
        expected[f"Picture {name}"] = code
    with (feed / "listings.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "title", "image"])
        writer.writerows(rows)
        file.write("ragged,only two cells\n")
        file.write("wide,A title,good.jpg,one,too,many\n")
    with (feed / "listings.csv").open("ab") as raw:
        raw.write(b"latin,R\xf6d kl\xe4nning,good.jpg\n")
    bad = len(expected) + 3
    with project_copy.open("a", encoding="utf-8") as file:
        file.write(
            '\n[feeds.bad]\nsource = "bad/listings.csv"\nimages = "bad"\n'
            'columns = { listing_id = "id", title = "title", image = "image" }\n'
        )
    done = subprocess.run(
        [sys.executable, "-c", "import flows.cli; flows.cli.main()", "nightly", "--config", str(project_copy)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"feed bad  {bad + 3} rows read = 3 accepted (3 new, 0 changed, 0 unchanged) + {bad} rejected" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    home = Project.open(project_copy).home
    rejected = query(home, "select listing_id, codes, reason, raw from rejections where feed = 'bad'")
    assert rejected.height == bad >= 20
    assert rejected.filter(pl.col("reason").str.len_chars() < 10).is_empty()
    for title, code in expected.items():
        mine = rejected.filter(pl.col("raw").str.contains(title[:30].split("\x00")[0], literal=True))
        assert code in {c for codes in mine["codes"] for c in codes}, (title, code, mine.rows())
    unreadable = rejected.filter(pl.col("codes").list.contains("row_unreadable"))
    assert unreadable.height == 3
    tagged = query(home, "select distinct listing_id from tags where feed = 'bad' order by all")
    assert tagged["listing_id"].to_list() == ["GOOD-0", "GOOD-1", "GOOD-2"]
