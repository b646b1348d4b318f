"""Malformed rows of every format, each with the codes that it is rejected with (no code: it is accepted).

Several codes have spaces between them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

COLUMNS = {"listing_id": "id", "title": "title", "image": "image"}

GOOD = "good.jpg"


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
    Row("an error as id", Cells("#REF!", "Dress"), "listing_id_spreadsheet_error"),
    Row("the same error again", Cells("#REF!", "Dress"), "listing_id_spreadsheet_error"),
    Row("a formula as id", Cells("=VLOOKUP(A2,B:C,2)", "Dress"), "listing_id_formula"),
    Row("a shortened id", Cells("5.90123E+12", "Dress"), "listing_id_shortened"),
    Row("the same shortened id again", Cells("5.90123E+12", "Dress"), "listing_id_shortened"),
    Row("an error as title", Cells("s1", "#NAME?"), "title_spreadsheet_error"),
    Row("a formula as title", Cells("s2", "=CONCAT(A1;B1)"), "title_formula"),
    Row("a word for nothing as id", Cells("NULL", "Dress"), "listing_id_missing"),
    Row("a word for nothing as title", Cells("s3", "nan"), "title_missing"),
    Row("an entity as title", Cells("s4", "&nbsp;"), "title_missing"),
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
    Row(MORE_PICTURES, Cells("GOOD-0", "")),  # a row without a title continues its listing
    Row("a bad first", Cells("FIRST", " "), "title_missing"),
    Row("after a bad first", Cells("FIRST", "Dress"), "listing_id_duplicate"),
]


def utf_16(text: str) -> bytes:
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
    Row("a cell beyond csv's own limit", b"c10,%b,good.jpg" % (b"x" * 131_073), "title_too_long"),
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
    Row("half a pair in UTF-16", utf_16("w1,") + b"\x3d\xd8" + utf_16(",good.jpg"), "row_unreadable"),
    Row("two halves the wrong way", utf_16("w2,") + b"\x57\xdc\x3d\xd8" + utf_16(",good.jpg"), "row_unreadable"),
    Row("half a character at the end", utf_16("w3,Dress,good.jpg") + b"!", "row_unreadable"),
]


LEGACY_ROWS = [
    Row("what Windows-1252 has not", b"l1;R\x81d;good.jpg", "row_unreadable"),
    Row("what it has", b"l2;R\xf6d \x80;good.jpg"),
    Row("another delimiter", b"l3,Dress,good.jpg", "row_unreadable"),
]
