"""Every kind of malformed input that we know, made by code: rows, pictures and whole files, each with its outcome.

Codes are written with spaces between them; no code means that the row is part of a listing, or the picture usable.
"""

import contextlib
import csv
import gzip
import io
import json
import os
import re
import socketserver
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from PIL import Image

from schemas.errors import ConfigurationError, UserError

COLUMNS = {"listing_id": "id", "title": "title", "image": "image"}
GOOD = "good.jpg"

# ---- rows


class Row(NamedTuple):
    name: str
    content: Any
    codes: str = ""


class Cells(NamedTuple):
    """A row that every format can express."""

    listing_id: str | None
    title: str | None
    pictures: Sequence[str] = (GOOD,)


BLANK = "\u00a0\u2003\u3000\u2028 \t"
MORE_PICTURES = "another picture"  # the name of rows that are part of an earlier row's listing

LOGICAL = [
    Row("null id", Cells(None, "Dress"), "listing_id_missing"),
    Row("empty id", Cells("", "Dress"), "listing_id_missing"),
    Row("blank id", Cells("  \t ", "Dress"), "listing_id_missing"),
    Row("id of Unicode blanks", Cells(BLANK, "Dress"), "listing_id_missing"),
    Row("long id", Cells("x" * 201, "Dress"), "listing_id_too_long"),
    Row("id just not too long", Cells("x" * 200, "Dress")),
    Row("bell in the id", Cells("a\x07b", "Dress"), "listing_id_control_character"),
    Row("NUL in the id", Cells("a\0b", "Dress"), "listing_id_control_character"),
    Row("DEL in the id", Cells("a\x7fb", "Dress"), "listing_id_control_character"),
    Row("C1 in the id", Cells("a\x9bb", "Dress"), "listing_id_control_character"),
    Row("line break in the id", Cells("a\nb", "Dress"), "listing_id_control_character"),
    Row("null title", Cells("t0", None), "title_missing"),
    Row("empty title", Cells("t1", ""), "title_missing"),
    Row("blank title", Cells("t2", " \t "), "title_missing"),
    Row("title of Unicode blanks", Cells("t3", BLANK), "title_missing"),
    Row("long title", Cells("t4", "x" * 2001), "title_too_long"),
    Row("title just not too long", Cells("t5", "x" * 2000)),
    Row("title with layout", Cells("t6", " Red\r\n\tdress\u2003")),
    Row("NUL in the title", Cells("t7", "Red\0dress"), "title_control_character"),
    Row("escape in the title", Cells("t8", "Red \x1b[31mdress"), "title_control_character"),
    Row("C1 in the title", Cells("t9", "Red\x9bdress"), "title_control_character"),
    Row("no picture", Cells("p0", "Dress", ())),
    Row("many pictures", Cells("p1", "Dress", [GOOD] * 100)),
    Row("too many pictures", Cells("p2", "Dress", [GOOD] * 101), "image_too_many"),
    Row("nothing at all", Cells("", "", ()), "listing_id_missing title_missing"),
    Row(
        "everything too much",
        Cells("\x01" * 201, "\x01" * 2001, [GOOD] * 101),
        "listing_id_too_long listing_id_control_character title_too_long title_control_character image_too_many",
    ),
    Row(MORE_PICTURES, Cells("GOOD-0", "A good dress 0", ["other.jpg"])),
    Row("the same again", Cells("GOOD-0", "A good dress 0"), "listing_id_duplicate"),
    Row("the same with blanks", Cells(" GOOD-0\t", "A  good\ndress 0 "), "listing_id_duplicate"),
    Row("the same id, another title", Cells("GOOD-0", "A bad dress"), "listing_id_duplicate"),
    Row("the same id, nothing alike", Cells("GOOD-0", "A coat", ["coat.jpg"]), "listing_id_duplicate"),
    Row("the same id, no picture", Cells("GOOD-0", "A good dress 0", ()), "listing_id_duplicate"),
    Row("the same id, no title", Cells("GOOD-0", ""), "title_missing listing_id_duplicate"),
    Row("a bad first", Cells("FIRST", " "), "title_missing"),
    Row("after a bad first", Cells("FIRST", "Dress"), "listing_id_duplicate"),
]


def _wide(text: str) -> bytes:
    return text.encode("utf-16-le")


CSV_ROWS = [
    Row("a repetition in another file", b"GOOD-0,A good dress 0,good.jpg", "listing_id_duplicate"),
    Row("ragged, short", b"c1,Dress", "row_unreadable"),
    Row("ragged, long", b"c2,Dress,good.jpg,,", "row_unreadable"),
    Row("one blank cell", b'""', "row_unreadable"),
    Row("Latin-1 in the id", b"c\xe93,Dress,good.jpg", "row_unreadable"),
    Row("Latin-1 in the title", b"c4,R\xf6d,good.jpg", "row_unreadable"),
    Row("Latin-1 in the picture", b"c5,Dress,r\xf6d.jpg", "row_unreadable"),
    Row("overlong UTF-8", b"c6,\xc0\xaf,good.jpg", "row_unreadable"),
    Row("half a surrogate pair in UTF-8", b"c7,\xed\xa0\xbd,good.jpg", "row_unreadable"),
    Row("half a character", b"c8,\xe2\x82,good.jpg", "row_unreadable"),
    Row("beyond Unicode", b"c9,\xf4\x90\x80\x80,good.jpg", "row_unreadable"),
    Row("a cell beyond csv's limit", b"c10,%b,good.jpg" % (b"x" * 131_073), "row_unreadable"),
    Row("a line beyond ours", b"c11,%b,good.jpg" % (b"x" * 10_000_000), "row_unreadable"),
    Row("text after the quotes", b'c12,"Red" dress,good.jpg'),
    Row("a quote inside", b'c13,27" dress,good.jpg'),
    Row("a quote that the next but two closes", b'c14,"Dress,good.jpg', "row_unreadable"),
    Row("good between quotes", b"c15,Dress,good.jpg"),
    Row("a quote that is never closed", b'c16,"Dress,good.jpg', "row_unreadable"),
]
TSV_ROWS = [
    Row("commas for tabs", b"v1,Dress,good.jpg", "row_unreadable"),
    Row("ragged, long", b"v2\tDress\tgood.jpg\t", "row_unreadable"),
    Row("no UTF-8", b"v3\tR\xf6d\tgood.jpg", "row_unreadable"),
    Row("no picture cell", b"v4\tDress", "row_unreadable"),
]
JSON_ROWS = [
    Row(name, line, "row_unreadable")
    for name, line in {
        "truncated": b'{"id": "j1", "title": "Dre',
        "truncated after a key": b'{"id": "j1", "title"',
        "an array": b'["j2", "Dress"]',
        "text": b'"Dress"',
        "a number": b"42",
        "null": b"null",
        "NaN": b"NaN",
        "true": b"true",
        "plain words": b"Internal server error",
        "markup": b"<html></html>",
        "two objects": b'{"id": "j3", "title": "A"}{"id": "j4", "title": "B"}',
        "a trailing comma": b'{"id": "j5", "title": "A",}',
        "single quotes": b"{'id': 'j6', 'title': 'A'}",
        "no quotes": b'{id: "j7", title: "A"}',
        "a comment": b'{"id": "j8", "title": "A"} // good',
        "a raw control character": b'{"id": "j9", "title": "A\x07"}',
        "a wrong escape": rb'{"id": "j10", "title": "\x41"}',
        "deep arrays": b"[" * 100_000,
        "deep objects": b'{"id":' * 100_000,
        "half a pair in the id": rb'{"id": "\ud83d", "title": "Dress"}',
        "half a pair in the title": rb'{"id": "j11", "title": "\udc57 dress"}',
        "half a pair in the picture": rb'{"id": "j12", "title": "Dress", "image": ["\ud83d"]}',
        "no UTF-8": b'{"id": "j13", "title": "R\xf6d"}',
        "half a pair in bytes": b'{"id": "j14", "title": "\xed\xa0\xbd"}',
        "a huge number": b'{"id": %b, "title": "Dress"}' % (b"9" * 5000),
        "a line beyond the limit": b'{"id": "j15", "title": "%b"}' % (b"x" * 10_000_000),
        "a byte-order mark in the middle": b'\xef\xbb\xbf{"id": "j16", "title": "Dress"}',
    }.items()
] + [
    Row("an empty object", b"{}", "listing_id_missing title_missing"),
    Row("no title", b'{"id": "j20"}', "title_missing"),
    Row("a long number", b'{"id": %b, "title": "Dress"}' % (b"9" * 300), "listing_id_too_long"),
    Row("NaN for an id, as pandas has it", b'{"id": NaN, "title": "Dress"}', "listing_id_missing"),
    Row("NaN for a title", b'{"id": "j21", "title": NaN}', "title_missing"),
    Row("pictures that are no names", b'{"id": "j22", "title": "Dress", "image": [{"url": 5}, 7, null]}'),
]
SPLIT_ROWS = [
    Row("a split by another word", b'{"id": "j30", "title": "Dress", "part": " Dev "}'),
    Row("a split that is none", b'{"id": "j31", "title": "Dress", "part": "holdout"}', "split_unknown"),
    Row("a number for a split", b'{"id": "j32", "title": "Dress", "part": 1}', "split_unknown"),
    Row("a list of splits", b'{"id": "j33", "title": "", "part": ["train"]}', "title_missing split_unknown"),
    Row("null for a split", b'{"id": "j34", "title": "Dress", "part": null}'),
]
PARQUET_ROWS = [
    Row("all null", {"id": None, "title": None, "image": None}, "listing_id_missing title_missing"),
    Row("nulls among pictures", {"id": "q1", "title": "Dress", "image": [None, "", GOOD]}),
    Row("too many with nulls", {"id": "q2", "title": "Dress", "image": [None, *[GOOD] * 101]}, "image_too_many"),
]
SQL_ROWS = [  # text is an SQL expression
    Row("bytes in the id", "x'00ff', 'Dress', 'good.jpg'", "row_unreadable"),
    Row("bytes in the title", "'s1', x'00ff', 'good.jpg'", "row_unreadable"),
    Row("no UTF-8 in the id", "cast(x'61ff' as text), 'Dress', 'good.jpg'", "row_unreadable"),
    Row("no UTF-8 in the title", "'s2', cast(x'61ff' as text), 'good.jpg'", "row_unreadable"),
    Row("no UTF-8 in the picture", "'s3', 'Dress', cast(x'61ff' as text)", "row_unreadable"),
    Row("infinity for an id", "9e999, 'Dress', 'good.jpg'", "listing_id_missing"),
    Row("a number for an id", "17, 'Dress', 'good.jpg'"),
]
WIDE_ROWS = [
    Row("half a pair in UTF-16", _wide("w1,") + b"\x3d\xd8" + _wide(",good.jpg"), "row_unreadable"),
    Row("two halves the wrong way", _wide("w2,") + b"\x57\xdc\x3d\xd8" + _wide(",good.jpg"), "row_unreadable"),
    Row("half a character at the end", _wide("w3,Dress,good.jpg") + b"!", "row_unreadable"),
]
LEGACY_ROWS = [
    Row("what Windows-1252 has not", b"l1;R\x81d;good.jpg", "row_unreadable"),
    Row("what it has", b"l2;R\xf6d \x80;good.jpg"),
    Row("another delimiter", b"l3,Dress,good.jpg", "row_unreadable"),
]


def _csv_row(row: Cells, delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO()
    pictures = row.pictures[0] if len(row.pictures) == 1 else json.dumps(row.pictures) if row.pictures else ""
    cells = [row.listing_id or "", row.title or "", pictures]
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
    return text.getvalue().encode(encoding)


def _tsv_row(row: Cells) -> bytes:
    return _csv_row(row, "\t")


def _wide_row(row: Cells) -> bytes:
    return _csv_row(row, encoding="utf-16-le")


def _legacy_row(row: Cells) -> bytes:
    return _csv_row(row, ";", "windows-1252")


def _object(row: Cells) -> dict[str, Any]:
    return {"id": row.listing_id, "title": row.title, "image": list(row.pictures)}


def _json_row(row: Cells) -> bytes:
    return json.dumps(_object(row)).encode()


def _sql_row(row: Cells) -> tuple[str | None, str | None, str]:
    return row.listing_id, row.title, json.dumps(list(row.pictures))


def _write_csv(folder: Path, rows: Sequence[bytes]) -> None:
    """In two files: the second has what every format can express behind it."""
    first = len(rows) - 2 * len(CSV_ROWS)
    for name, part in (("1.csv", rows[:first]), ("2.csv", rows[first:])):
        (folder / name).write_bytes(b"\n".join([b"id,title,image", *part]))


def _write_text(name: str, head: bytes, end: bytes = b"\n") -> Callable[[Path, Sequence[bytes]], None]:
    def write(folder: Path, rows: Sequence[bytes]) -> None:
        (folder / name).write_bytes(head + end.join(rows))

    return write


def _write_packed(folder: Path, rows: Sequence[bytes]) -> None:
    (folder / "rows.tsv.gz").write_bytes(gzip.compress(b"\n".join([b"id\ttitle\timage", *rows])))


def _write_parquet(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    schema = {"id": pl.String(), "title": pl.String(), "image": pl.List(pl.String)}
    pl.DataFrame(rows, schema=schema).write_parquet(folder / "rows.parquet")


def _write_sql(folder: Path, rows: Sequence[str | tuple[str | None, str | None, str]]) -> None:
    path = folder / "rows.db"
    path.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("create table listings (id, title, image)")
        for row in rows:
            expression, values = (row, ()) if isinstance(row, str) else ("?, ?, ?", row)
            database.execute(f"insert into listings values ({expression})", values)


@dataclass(frozen=True)
class Feed:
    """Bad rows of one format with good ones before each. `settings` of cma.toml, {folder} for the feed's own."""

    name: str
    settings: Mapping[str, Any]
    bad: Sequence[Row]
    encode: Callable[[Cells], Any]
    write_contents: Callable[[Path, Sequence[Any]], None]

    @property
    def rows(self) -> list[Row]:
        good = [Row(f"good {n}", Cells(f"GOOD-{n}", f"A good dress {n}")) for n in range(len(self.bad))]
        rows = [row for pair in zip(good, self.bad, strict=True) for row in pair]
        return [row._replace(content=self._encoded(row.content)) for row in rows]

    def write(self, folder: Path) -> None:
        self.write_contents(folder, [row.content for row in self.rows])

    def write_healed(self, folder: Path) -> None:
        """The same with every bad row made good."""
        healed = [
            self.encode(Cells(f"healed-{n}", "Dress")) if row.codes else row.content for n, row in enumerate(self.rows)
        ]
        self.write_contents(folder, healed)

    def _encoded(self, content: Any) -> Any:
        return self.encode(content) if isinstance(content, Cells) else content


HEAD = b"id,title,image\n"
FEEDS = [
    Feed("csv", {"source": "{folder}/*.csv"}, LOGICAL + CSV_ROWS, _csv_row, _write_csv),
    Feed(
        "tsv",
        {"source": "{folder}/rows.tsv.gz"},
        LOGICAL + TSV_ROWS,
        _tsv_row,
        _write_packed,
    ),
    Feed(
        "jsonl",
        {"source": "{folder}/rows.jsonl", "columns": {**COLUMNS, "split": "part"}},
        LOGICAL + SPLIT_ROWS + JSON_ROWS,
        _json_row,
        _write_text("rows.jsonl", b""),
    ),
    Feed("parquet", {"source": "{folder}/rows.parquet"}, LOGICAL + PARQUET_ROWS, _object, _write_parquet),
    Feed(
        "sql",
        {"source": "sqlite:///{folder}/rows.db", "query": "select * from listings order by rowid"},
        LOGICAL + SQL_ROWS,
        _sql_row,
        _write_sql,
    ),
    Feed(
        "wide",
        {"source": "{folder}/rows.csv"},
        WIDE_ROWS,
        _wide_row,
        _write_text("rows.csv", HEAD.decode().encode("utf-16"), _wide("\n")),
    ),
    Feed(
        "legacy",
        {"source": "{folder}/rows.txt", "encoding": "windows-1252", "delimiter": ";"},
        LEGACY_ROWS,
        _legacy_row,
        _write_text("rows.txt", b"id;title;image\n"),
    ),
]

# ---- pictures


def encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(width: int, height: int) -> bytes:
    """A PNG that claims to be of this size and has no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")


def _jpeg_of(width: int, height: int) -> bytes:
    """A JPEG that claims to be of this size."""
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height, width) + JPEG[at + 9 :]


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _half(kind: str) -> bytes:
    data = encoded(NOISE, kind)
    return data[: len(data) // 2]


NOISE = Image.fromarray(np.random.default_rng(7).integers(0, 255, (80, 60, 3), dtype=np.uint8))
JPEG, PNG = encoded(NOISE, "JPEG"), encoded(NOISE, "PNG")

MAX_BYTES = 1_000_000  # the setting that the corpus is made for
BYTES: dict[str, tuple[bytes, str]] = {
    "page.jpg": (b"<!doctype html><title>404</title>", "picture_unreadable"),
    "drawing.svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "picture_unreadable"),
    "drawing.jpg": (b'\xef\xbb\xbf<?xml version="1.0"?><svg/>', "picture_unreadable"),
    "garbage.jpg": (bytes(range(256)) * 4, "picture_unreadable"),
    "zeros.jpg": (bytes(1000), "picture_unreadable"),
    "one-byte.jpg": (b"\xff", "picture_unreadable"),
    "text.jpg": (b"good.jpg\n", "picture_unreadable"),
    "base64.jpg": (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "picture_unreadable"),
    "film.jpg": (b"\0\0\0\x18ftypisom" + bytes(50), "picture_unreadable"),
    "archive.jpg": (b"PK\3\4" + bytes(50), "picture_unreadable"),
    "cut.jpg": (_half("JPEG"), "picture_truncated"),
    "cut-header.jpg": (JPEG[:30], "picture_truncated"),
    "start.jpg": (JPEG[:4], "picture_truncated"),
    "cut.png": (_half("PNG"), "picture_truncated"),
    "cut.gif": (_half("GIF"), "picture_truncated"),
    "cut.webp": (_half("WEBP"), "picture_truncated"),
    "cut.avif": (_half("AVIF"), "picture_truncated"),
    "cut.bmp": (_half("BMP"), "picture_truncated"),
    "checksum.png": (_flipped(PNG, PNG.index(b"IDAT") + 60), "picture_truncated"),
    "checksum-header.png": (_flipped(PNG, 30), "picture_truncated"),
    "bomb.png": (_png(20_000, 10_000), "picture_too_large"),
    "small-bomb.png": (_png(10_000, 9_500), "picture_too_large"),
    "bomb.jpg": (_jpeg_of(60_000, 60_000), "picture_too_large"),
    "dot.png": (encoded(Image.new("RGB", (1, 1)), "PNG"), "picture_too_small"),
    "tracking.gif": (encoded(Image.new("P", (1, 1)), "GIF"), "picture_too_small"),
    "thin.png": (encoded(Image.new("RGB", (15, 400)), "PNG"), "picture_too_small"),
    "ribbon.png": (encoded(Image.new("RGB", (340, 16)), "PNG"), "picture_extreme_shape"),
    "tower.png": (encoded(Image.new("RGB", (16, 340)), "PNG"), "picture_extreme_shape"),
    "scan.tif": (encoded(NOISE, "TIFF"), "picture_format_not_allowed"),
    "scan.jpg": (b"MM\0*" + bytes(100), "picture_format_not_allowed"),
    "icon.ico": (encoded(NOISE, "ICO"), "picture_format_not_allowed"),
    "sheet.pdf": (b"%PDF-1.7\n" + bytes(100), "picture_format_not_allowed"),
    "phone.heic": (b"\0\0\0\x18ftypheic" + bytes(50), "picture_format_not_allowed"),
    "layers.psd": (b"8BPS\0\1" + bytes(50), "picture_format_not_allowed"),
    "new.jxl": (b"\xff\x0a" + bytes(50), "picture_format_not_allowed"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "picture_format_not_allowed"),
    "film.jp2": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "picture_format_not_allowed"),
}

# name → what a row writes for its picture, and the code; `lay_out` makes the places.
PLACES: dict[str, tuple[str, str]] = {
    "empty file": ("empty.jpg", "picture_empty"),
    "a huge file": ("huge.jpg", "picture_too_many_bytes"),
    "absent": ("absent.jpg", "picture_not_found"),
    "absent folder": ("absent/good.jpg", "picture_not_found"),
    "a file as a folder": ("good.jpg/good.jpg", "picture_not_found"),
    "a broken link": ("broken-link.jpg", "picture_not_found"),
    "a link to itself": ("circle.jpg", "picture_not_found"),
    "NUL in the path": ("good\0.jpg", "picture_not_found"),
    "a very long path": ("a/" * 3000 + "a.jpg", "picture_not_found"),
    "a very long name": ("a" * 5000 + ".jpg", "picture_not_found"),
    "Windows' way out": ("..\\secret.jpg", "picture_not_found"),
    "quoted way out": ("%2e%2e/secret.jpg", "picture_not_found"),
    "home": ("~/good.jpg", "picture_not_found"),
    "outside by ..": ("../secret.jpg", "picture_outside_root"),
    "outside by .. in the middle": ("folder.jpg/../../secret.jpg", "picture_outside_root"),
    "outside, absent": ("../absent.jpg", "picture_outside_root"),
    "absolute": ("/etc/hostname", "picture_outside_root"),
    "absolute, twice": ("//etc/hostname", "picture_outside_root"),
    "a link that leads out": ("link.jpg", "picture_outside_root"),
    "a linked folder that leads out": ("linked/secret.jpg", "picture_outside_root"),
    "devices": ("/dev/zero", "picture_outside_root"),
    "a folder": ("folder.jpg", "picture_not_a_file"),
    "the root": (".", "picture_not_a_file"),
    "a pipe": ("pipe.jpg", "picture_not_a_file"),
    **{
        f"by {uri[:12]}": (uri, "picture_scheme_not_allowed")
        for uri in (
            *("file:///etc/hostname", "file:good.jpg", "ftp://shop.example/a.jpg", "s3://bucket/a.jpg"),
            *("gs://bucket/a.jpg", "data:image/gif;base64,R0lGODlhAQABAAAAACw=", "javascript:alert(1)"),
            *("gopher://shop.example/a.jpg", "zip::file://a.zip", "memory://a.jpg", "blob:https://shop.example/1"),
        )
    },
    **{
        f"at {host}": (f"http://{host}/a.jpg", "picture_address_not_allowed")
        for host in (
            *("127.0.0.1", "localhost", "LOCALHOST.", "127.0.0.1.", "169.254.169.254", "[::1]", "0.0.0.0"),  # noqa: S104
            *("2130706433", "0x7f000001", "017700000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "①②⑦.⓪.⓪.①"),
            *("10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "255.255.255.255"),
            *("[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::7f00:1]", "[fd00::1]", "[fe80::1]", "[::]"),
            *("shop.example@127.0.0.1", "shop.example:80@127.0.0.1:80", "127.0.0.1:22", "127.0.0.1:80#@shop.example"),
            *("127.0.0.1?@shop.example", "%31%32%37.0.0.1@127.0.0.1", "[2002:7f00:1::]"),
        )
    },
    **{
        f"no URL: {url[:30]}": (url, "picture_not_found")
        for url in (
            *("http://", "http:///a.jpg", "http:a.jpg", "https://?", "http://[::1", "http://[fe80::1%25eth0]/a.jpg"),
            *("http://127.0.0.1:99999/a.jpg", "http://127.0.0.1:port/a.jpg", "http://a b/a.jpg", "http://.../a.jpg"),
            *("http://%31%32%37.0.0.1/a.jpg", f"http://{'a' * 300}.example/a.jpg", "http://a..b/a.jpg"),
        )
    },
    "no such host": ("https://something.invalid/a.jpg", "picture_host_unknown"),
    "nobody listens": ("http://127.0.0.2:1/a.jpg", "picture_connection_failed"),
}


def lay_out(folder: Path) -> None:
    """A feed's picture folder with all of BYTES and PLACES, and a secret picture beside it."""
    (folder / "folder.jpg").mkdir(parents=True)
    (folder.parent / "secret").mkdir()
    for path in (folder.parent / "secret.jpg", folder.parent / "secret" / "secret.jpg", folder / GOOD):
        path.write_bytes(JPEG)
    (folder / "other.jpg").write_bytes(PNG)
    for name, (data, _) in BYTES.items():
        (folder / name).write_bytes(data)
    (folder / "empty.jpg").touch()
    (folder / "huge.jpg").touch()
    os.truncate(folder / "huge.jpg", MAX_BYTES + 1)
    (folder / "link.jpg").symlink_to(folder.parent / "secret.jpg")
    (folder / "linked").symlink_to(folder.parent / "secret")
    (folder / "broken-link.jpg").symlink_to("absent.jpg")
    (folder / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(folder / "pipe.jpg")


# ---- a web server that misbehaves

HOST = "127.0.0.2"  # which a test can allow while 127.0.0.1 stays forbidden


def answer(status: str, body: bytes = b"", **headers: str) -> bytes:
    lines = {"Connection": "close", "Content-Length": str(len(body))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
    return "\r\n".join(head).encode() + body


def _sent_to(location: str) -> bytes:
    return answer("302 Found", Location=location)


# path → all that the server says, and the code. `drip` and `silence` take longer than anyone waits.
WEB: dict[str, tuple[bytes, str]] = {
    "good": (answer("200 OK", JPEG), ""),
    "absent": (answer("404 Not Found", b"<html>"), "picture_http_status"),
    "gone": (answer("410 Gone"), "picture_http_status"),
    "login": (answer("401 Unauthorized", WWW_Authenticate="Basic"), "picture_http_status"),
    "forbidden": (answer("403 Forbidden"), "picture_http_status"),
    "nothing": (b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "picture_http_status"),
    "part": (answer("206 Partial Content", JPEG[:500]), "picture_http_status"),
    "unasked": (b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", "picture_http_status"),
    "nowhere": (answer("302 Found"), "picture_http_status"),
    "broken": (answer("500 Internal Server Error", b"Traceback"), "picture_server_error"),
    "maintenance": (answer("503 Service Unavailable", Retry_After="60"), "picture_server_error"),
    "busy": (answer("429 Too Many Requests"), "picture_server_error"),
    "loop": (_sent_to("/loop"), "picture_too_many_redirects"),
    "to-loopback": (_sent_to("http://127.0.0.1/good"), "picture_address_not_allowed"),
    "to-metadata": (_sent_to("//169.254.169.254/latest/meta-data"), "picture_address_not_allowed"),
    "to-file": (_sent_to("file:///etc/hostname"), "picture_scheme_not_allowed"),
    "to-ftp": (_sent_to("ftp://shop.example/a.jpg"), "picture_scheme_not_allowed"),
    "to-rubbish": (_sent_to("http://[/"), "picture_not_found"),
    "to-page": (_sent_to("/page"), "picture_unreadable"),
    "page": (answer("200 OK", b"<html>404, sorry</html>", Content_Type="image/jpeg"), "picture_unreadable"),
    "empty": (answer("200 OK"), "picture_empty"),
    "packed": (answer("200 OK", gzip.compress(JPEG), Content_Encoding="gzip"), "picture_unreadable"),
    "claims-much": (answer("200 OK", JPEG, Content_Length=str(10**12)), "picture_too_many_bytes"),
    "has-much": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + JPEG + bytes(MAX_BYTES),
        "picture_too_many_bytes",
    ),
    "less-than-claimed": (answer("200 OK", JPEG, Content_Length=str(len(JPEG) + 1)), "picture_connection_failed"),
    "more-than-claimed": (answer("200 OK", JPEG, Content_Length=str(len(JPEG) // 2)), "picture_truncated"),
    "negative": (answer("200 OK", JPEG, Content_Length="-1"), "picture_connection_failed"),
    "no-number": (answer("200 OK", JPEG, Content_Length="many"), "picture_connection_failed"),
    "bad-chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + JPEG,
        "picture_connection_failed",
    ),
    "no-http": (b"220 mail.shop.example ESMTP\r\n", "picture_connection_failed"),
    "no-end": (b"HTTP/1.1 200 OK\r\n" + b"X-Filler: 0123456789\r\n" * 10_000, "picture_connection_failed"),
    "hangs-up": (b"", "picture_connection_failed"),
    "drip": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "picture_timeout"),
    "silence": (b"", "picture_timeout"),
}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            path = self.rfile.readline().split()[1].decode().partition("?")[0].removeprefix("/")
            while self.rfile.readline().strip():
                pass
            self.wfile.write(WEB.get(path, WEB["absent"])[0])
            if path == "drip":
                while True:
                    self.wfile.write(b"\xff")
                    time.sleep(0.1)
            if path == "silence":
                self.rfile.read(1)  # until the other side gives up


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a web server that gives the answers of WEB."""
    with _Server((HOST, 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Named(NamedTuple):
    """What a row writes for its picture, and the code that it leads to."""

    uri: str
    code: str


def named_pictures(web: str) -> dict[str, Named]:
    """By listing id; for the web server at that address."""
    return (
        {f"file {name}": Named(name, code) for name, (_, code) in BYTES.items()}
        | {f"place {name}": Named(*place) for name, place in PLACES.items()}
        | {f"web {path}": Named(f"{web}/{path}", code) for path, (_, code) in WEB.items()}
    )


def write_named(path: Path, pictures: Mapping[str, Named]) -> None:
    """A JSONL feed, which can hold every character."""
    rows = [{"id": name, "title": f"Dress {name}", "image": picture.uri} for name, picture in pictures.items()]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def write_embedded(path: Path) -> None:
    """A Parquet feed with BYTES inside; its listings are called `bytes <name>`."""
    rows = [{"id": f"bytes {name}", "title": "Dress", "image": data} for name, (data, _) in BYTES.items()]
    pl.DataFrame(rows).write_parquet(path)


# ---- whole files


@dataclass(frozen=True)
class Broken:
    """`files` below {folder}; `said` is found in the error's message. `settings` are the feed's in cma.toml."""

    name: str
    files: Mapping[str, bytes]
    source: str
    said: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    error: type[UserError] = UserError


def _parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table({"id": ["1"], "title": ["Dress"], "image": [GOOD]} | columns), out, compression="none")
    return out.getvalue()


def _parquet_twice() -> bytes:
    out = io.BytesIO()
    text = pa.array(["x"])
    pq.write_table(pa.Table.from_arrays([text] * 4, names=["id", "title", "image", "title"]), out)
    return out.getvalue()


def _sqlite(*statements: str) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        for statement in ("create table listings (id, title, image)", *statements):
            database.execute(statement)
        database.commit()
        return database.serialize()


_ROWS = HEAD + b"".join(b"%d,Dress %d,good.jpg\n" % (n, n * 7919 % 10007) for n in range(5000))
_GZ, _ZST = gzip.compress(_ROWS), zstandard.ZstdCompressor(write_checksum=True).compress(_ROWS)
_PARQUET = _parquet(id=[str(n) for n in range(999)], title=[f"Dress {n}" for n in range(999)], image=[GOOD] * 999)
_JSON = b'{"id": 1, "title": "A", "image": ""}\n' * 99
_ALL = "select * from listings"
_NO_TITLE = "there is no column 'title'; the columns are: id, image"


def _one(name: str, file: str, content: bytes, said: str, **settings: Any) -> Broken:
    return Broken(name, {file: content}, f"{{folder}}/{file}", f"{re.escape(file)}: .*{said}", settings)


def _several(name: str, files: Mapping[str, bytes], glob: str, said: str) -> Broken:
    return Broken(name, files, f"{{folder}}/{glob}", said)


def _away(name: str, source: str, said: str, **settings: Any) -> Broken:
    return Broken(name, {}, source, said, settings)


def _sql(name: str, query: str, said: str, database: bytes | None = None) -> Broken:
    files = {"a.db": _sqlite() if database is None else database}
    return Broken(name, files, "sqlite:///{folder}/a.db", rf"feeds\.shop\.query: .*{said}", {"query": query})


def _setting(key: str, value: Any, said: str | None = None) -> Broken:
    said = said or rf"feeds\.shop\.{key}"
    return Broken(f"{key} {value}", {"a.csv": _ROWS}, "{folder}/a.csv", said, {key: value}, ConfigurationError)


FILES = [
    _one("CSV without a column", "a.csv", b"id,image\n1,good.jpg\n", _NO_TITLE),
    _one("TSV without a column", "a.tsv", b"id\timage\n1\tgood.jpg\n", _NO_TITLE),
    _one("JSON without a column", "a.jsonl", b'{"id": 1, "image": "good.jpg"}\n', _NO_TITLE),
    _one("Parquet without a column", "a.parquet", _parquet().replace(b"title", b"titel"), "no column 'title'"),
    _sql("SQL without a column", "select id, image from listings", _NO_TITLE),
    _one("CSV with a column twice", "a.csv", b"id,title,image,title\n", "two columns are called 'title'"),
    _one("TSV with a column twice", "a.tsv", b"id\ttitle\timage\tid\n", "two columns are called 'id'"),
    _one("Parquet with a column twice", "a.parquet", _parquet_twice(), "title"),
    _sql("SQL with a column twice", "select *, id from listings", "two columns are called 'id'"),
    _one("no label column", "a.csv", HEAD + b"1,Dress,good.jpg\n", "no column 'colour'", labels={"color": "colour"}),
    _one("an empty CSV", "a.csv", b"", "the file is empty"),
    _one("an empty TSV", "a.tsv", b"", "the file is empty"),
    _one("an empty Parquet file", "a.parquet", b"", "not a Parquet file"),
    _one("an empty gz", "a.csv.gz", b"", "empty|reading failed"),
    _one("blank lines", "a.csv", b"\n\r\n\n", "the file is empty"),
    _one("a header of blanks", "a.csv", b"   \n1,Dress,good.jpg\n", "no column 'id', 'title', 'image'"),
    _one("only a mark", "a.csv", b"\xef\xbb\xbf", "the file is empty"),
    _one("no header", "a.csv", b"1,Dress,good.jpg\n2,Coat,good.jpg\n", "no column 'id', 'title', 'image'"),
    _one("a header with an open quote", "a.csv", b'id,title,"image\n1,Dress,good.jpg\n', "never closed"),
    _one("an escape in the header", "a.csv", b"id,\x1b]0;name\x07,image\n", "no column 'title'"),
    _one("a web page as CSV", "a.csv", b"<!doctype html>\n<title>Login</title>\n", "no column 'id'"),
    _one("a picture as CSV", "a.csv", PNG, "not UTF-8 text|cannot be read"),
    _one("Parquet as CSV", "a.csv", _PARQUET, "not UTF-8 text|cannot be read|no column"),
    _one("gz as CSV", "a.csv", _GZ, "not UTF-8 text|cannot be read"),
    _one("UTF-16 without a mark", "a.csv", _ROWS.decode().encode("utf-16-le"), 'perhaps to "utf-16-le"'),
    _one("UTF-16BE without a mark", "a.csv", _ROWS.decode().encode("utf-16-be"), 'perhaps to "utf-16-be"'),
    _one("CSV as Parquet", "a.parquet", _ROWS, "not a Parquet file"),
    _one("a Parquet file cut short", "a.parquet", _PARQUET[: len(_PARQUET) // 2], "not a Parquet file"),
    _one("a Parquet file's end only", "a.parquet", b"PAR1" + _PARQUET[-300:], "not a Parquet file|damaged"),
    _one("a damaged Parquet page", "a.parquet", _PARQUET[:4] + b"\xff" * 999 + _PARQUET[1003:], "damaged"),
    _one("Parquet text that is none", "a.parquet", _parquet().replace(b"Dress", b"Dre\xff\xff"), "damaged"),
    _one("a nested id", "a.parquet", _parquet(id=[{"a": 1}]), r"'id' \(listing_id\) holds Struct"),
    _one("a list as id", "a.parquet", _parquet(id=[["1"]]), r"'id' \(listing_id\) holds List"),
    _one("fractions as id", "a.parquet", _parquet(id=[1.5]), r"'id' \(listing_id\) holds Float64"),
    _one("bytes as title", "a.parquet", _parquet(title=[b"x"]), r"'title' \(title\) holds Binary"),
    _one("a list as title", "a.parquet", _parquet(title=[["x"]]), r"'title' \(title\) holds List"),
    _one("pixels as image", "a.parquet", _parquet(image=[[0.5, 0.25]]), r"'image' \(image\) holds List\(Float64\)"),
    _one("a strange struct as image", "a.parquet", _parquet(image=[{"url": "x"}]), r"'image' \(image\) holds Struct"),
    _one("a gz cut short", "a.csv.gz", _GZ[:-20], "reading failed"),
    _one("a damaged gz", "a.csv.gz", _flipped(_GZ, len(_GZ) // 2), "reading failed"),
    _one("a gz with rubbish behind", "a.csv.gz", _GZ + b"rubbish", "reading failed"),
    _one("no gz", "a.csv.gz", _ROWS, "reading failed"),
    _one("a gz of JSON cut short", "a.jsonl.gz", gzip.compress(_JSON)[:-9], "reading failed"),
    _one("a zst cut short", "a.csv.zst", _ZST[:-20], "reading failed"),
    _one("a damaged zst", "a.csv.zst", _flipped(_ZST, len(_ZST) // 2), "reading failed"),
    _one("no zst", "a.csv.zst", _ROWS, "reading failed"),
    _one("a spreadsheet", "a.xlsx", b"PK", r"a feed cannot be \.xlsx"),
    _one("a zip", "a.csv.zip", b"PK", r"a feed cannot be \.zip"),
    _one("packed Parquet", "a.parquet.gz", _GZ, r"a feed cannot be \.parquet"),
    _one("no ending", "feed", _ROWS, "a feed cannot be a file without a suffix"),
    _several("one of several without a column", {"1.csv": _ROWS, "2.csv": b"id,image\n"}, "*", f"2.csv: {_NO_TITLE}"),
    _several(
        "one of several cut short", {"1.csv.gz": _GZ, "2.csv.gz": _GZ[:-20]}, "*.gz", r"2\.csv\.gz: .*reading failed"
    ),
    _several("one of several of no kind", {"1.csv": _ROWS, "2.doc": b""}, "*", r"2\.doc: a feed cannot be \.doc"),
    _several("one of several empty", {"1.csv": _ROWS, "2.csv": b""}, "*.csv", r"2\.csv: the file is empty"),
    _several("a glob without a match", {"a.tsv": _ROWS}, "*.csv", r"feeds\.shop\.source: there is no file .*/\*\.csv"),
    _several("a folder", {"feed.csv/a.csv": _ROWS}, "feed.csv", "feed[.]csv cannot be opened: this is a folder"),
    _several("a folder of no ending", {"feed/a.csv": _ROWS}, "feed", "feed cannot be opened: this is a folder"),
    _away("an absent file", "{folder}/absent.csv", r"feeds\.shop\.source: there is no file .*absent\.csv"),
    _away("an absent folder", "{folder}/absent/a.csv", r"there is no file .*absent/a\.csv"),
    _away("an absent web host", f"http://{HOST}:1/feed.csv", r":1/feed\.csv cannot be opened"),
    _away("an absent web file", "{web}/absent.csv", "there is no file .*absent.csv"),
    _away("a web server that fails", "{web}/broken", "broken cannot be opened: .*500"),
    _away("a feed behind a login", "{web}/login", "login cannot be opened: .*check the credentials"),
    _away(
        "an absent database", "sqlite:///{folder}/a.db", r"feeds\.shop\.source: there is no file .*a\.db", query=_ALL
    ),
    _away("an absent DuckDB", "duckdb:///{folder}/a.duckdb", r"there is no file .*a\.duckdb", query=_ALL),
    _away("an absent server", f"postgresql://me@{HOST}:1/db", r"feeds\.shop\.query: .* does not answer", query=_ALL),
    _sql("no database", _ALL, r"a\.db does not answer it: .*not a database", b"x" * 5000),
    _sql("an empty database", _ALL, "no such table", b""),
    _sql("a syntax error", "selec * from listings", "does not answer it: .*syntax error"),
    _sql("an absent table", "select * from absent", "does not answer it: no such table: absent"),
    _sql("an unknown column", "select sku from listings", "does not answer it: no such column: sku"),
    _sql("a statement that writes", "delete from listings", "does not answer it: .*readonly"),
    _sql("a statement without rows", "begin", "returns no rows"),
    _sql(
        "a query that breaks off",
        "select id, title, json(image) as image from listings",
        "reading failed",
        _sqlite("insert into listings values (1, 'A', '{}'), (2, 'B', '{')"),
    ),
    _setting("query", _ALL),
    _setting("encoding", "klingon"),
    _setting("encoding", "rot13"),
    _setting("delimiter", "||"),
    _setting("delimiter", '"'),
    _setting("columns", {"listing_id": "id", "image": "image"}),
    _setting("columns", {**COLUMNS, "colour": "c"}),
    _setting("columns", {**COLUMNS, "title": ["title", "id"]}),
    _setting("labels", {"taste": "title"}),
    _setting("source", "nosuch://host/feed", r"feeds\.shop\.source: neither .* knows nosuch"),
    Broken(
        "a database without a query",
        {"a.db": _sqlite()},
        "sqlite:///{folder}/a.db",
        r"feeds\.shop\.query: .*set the SQL",
        error=ConfigurationError,
    ),
    Broken(
        "a driver that is not there",
        {},
        "mysql://me@host/db",
        r"feeds\.shop\.source: the driver",
        {"query": _ALL},
        ConfigurationError,
    ),
    Broken(
        "an absent picture folder",
        {"a.csv": _ROWS},
        "{folder}/a.csv",
        "absent: there is no such folder",
        {"images": "absent"},
    ),
]
