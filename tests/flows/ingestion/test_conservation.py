"""Whatever a feed holds, no row of it is lost or counted twice."""

import json
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from catalog_io.pictures.fetching.references import picture_key
from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from schemas.validation import split_valid
from tests.flows.ingestion.feed_rules import Feed, Outcome, Row, expected


def outcome(source: FeedSettings, home: Path, batch_rows: int) -> Outcome:
    staging = Staging(home, "shop", tuple(source.labels))
    with staging.held():
        rows = 0
        for batch in read_feed(source, batch_rows=batch_rows):
            assert batch["row_number"].to_list() == list(range(rows + 1, rows + batch.height + 1))
            rows += batch.height
            staging.add(split_valid(batch))
        accepted = settle(staging)
        listings, pictures, rejections = (
            pl.read_parquet(staging.settled(name)) for name in ("listings", "pictures", "rejections")
        )
    assert listings["listing_id"].is_unique().all()
    assert rejections["row_number"].is_unique().all()
    assert set(pictures["listing_id"]) <= set(listings["listing_id"])
    keys: dict[str, list[str]] = {listing_id: [] for listing_id in listings["listing_id"]}
    for listing_id, position, key in pictures.select("listing_id", "position", "key").sort(pl.all()).iter_rows():
        assert position == len(keys[listing_id])
        keys[listing_id].append(key)
    return Outcome(rows, accepted, keys, dict(rejections.select("row_number", "codes").iter_rows()))


COLUMNS = {"listing_id": "id", "title": "name", "image": "pic"}


def check(path: Path, feed: Feed, batch_rows: int, *, embedded: bool = False) -> None:
    def key(name: str) -> str:
        return blake2b(name.encode(), digest_size=16).hexdigest() if embedded else picture_key(name)

    source = FeedSettings("shop", str(path), COLUMNS, {"color": "color"})
    wanted = expected(feed, embedded=embedded)
    pictures = {listing_id: list(map(key, names)) for listing_id, names in wanted.pictures.items()}
    assert outcome(source, path.parent, batch_rows) == wanted._replace(pictures=pictures)


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\",;\t|\r\n'\\\0\x1f\u2028 "), max_size=6)

NAMES = st.lists(st.sampled_from(["p", "q", "r", 'a "b", c.jpg', "é|;\t", ""]), max_size=3).map(tuple)


ODD = st.sampled_from(
    [
        *(
            "7",
            "7.0",
            '="7"',
            "'7",
            "7\u200b",
            "5.9E+12",
            "#REF!",
            "=A1+B1",
            "nan",
            "-",
            "\u202eb",
            "A\u0308",
            "\u00c4",
        ),
        *("&nbsp;", "<p></p>", "<b>T</b>", "&amp;lt;b&gt;T", "\u3164", "\u200d"),
    ]
)

ROWS = st.builds(
    Row,
    st.sampled_from(["A", "A", "A", "\u3000A ", "B", "B\n", "", None, "x" * 200, "x" * 201]) | ODD | TEXT,
    st.sampled_from(["T", "T", "T", " T\r\n", "T U", "T\u2003 U", "", None, "x" * 2000, "x" * 2001, "T\x1b"])
    | ODD
    | TEXT,
    NAMES | NAMES | NAMES | st.just(("p",) * 101) | st.just(("p",) * 100),
    st.sampled_from(["red", "red ", "", None]),
)

FEEDS = st.lists(ROWS | ROWS | ROWS | ROWS | st.none(), max_size=10)

BATCHES = st.integers(1, 12)

EXAMPLES = settings(max_examples=30)


# The second row's picture is no picture of A; the third's is.
REJECTED_BEFORE = [Row("A", "T", ("p",), None), Row("A", "U", ("q",), None), Row("A", "T", ("q",), None)]

RAGGED = [[""], ["A", "T"], ["A", "T", "p", "red", ""], ["A", "T\ud800", "p", "red"]]

NOT_JSON = [b"{", b"[]", b'"\xff"', b"1", rb'{"id": "\ud800"}', b"null", b'{"id": "A', b'{"id": "\xed\xa0\xbd"}']


@EXAMPLES
@given(
    FEEDS,
    BATCHES,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.integers(0, 2),
)
def test_csv(
    tmp_path_factory: pytest.TempPathFactory,
    feed: Feed,
    batch_rows: int,
    encoding: str,
    delimiter: str,
    end: str,
    quote_all: bool,
    blank_lines: int,
) -> None:
    def cell(text: str | None) -> str:
        bare = text and not quote_all and not set(text) & set(f'"{delimiter}\r\n')
        return text if text and bare else '"' + (text or "").replace('"', '""') + '"'

    def line(number: int, row: Row | None) -> str:
        if row is None:
            return delimiter.join(map(cell, RAGGED[number % len(RAGGED)]))
        names = row.pictures[0] if len(row.pictures) == 1 else json.dumps(row.pictures) if row.pictures else ""
        return delimiter.join(map(cell, (row.listing_id, row.title, names, row.word)))

    lines = [delimiter.join(["id", "name", "pic", "color"]), *(line(*numbered) for numbered in enumerate(feed)), ""]
    path = tmp_path_factory.mktemp("feed") / "a.csv"
    path.write_bytes((end * (1 + blank_lines)).join(lines).encode(encoding, "surrogatepass"))
    check(path, feed, batch_rows)


@EXAMPLES
@given(FEEDS, BATCHES, st.booleans())
@example(REJECTED_BEFORE, 1, True)
def test_json_lines(tmp_path_factory: pytest.TempPathFactory, feed: Feed, batch_rows: int, escaped: bool) -> None:
    def line(number: int, row: Row | None) -> bytes:
        if row is None:
            return NOT_JSON[number % len(NOT_JSON)]
        values = {"id": row.listing_id, "name": row.title, "pic": row.pictures, "color": row.word}
        return json.dumps(values, ensure_ascii=escaped).encode()

    path = tmp_path_factory.mktemp("feed") / "a.jsonl"
    path.write_bytes(b"\n".join(line(*numbered) for numbered in enumerate(feed)))
    check(path, feed, batch_rows)


@EXAMPLES
@given(st.lists(ROWS, max_size=10), BATCHES, st.sampled_from(["text", "bytes", "struct"]), st.integers(1, 5))
def test_parquet(
    tmp_path_factory: pytest.TempPathFactory, feed: Sequence[Row], batch_rows: int, kind: str, group_rows: int
) -> None:
    def picture(name: str) -> Any:
        data = name.encode()
        return {"text": name, "bytes": data, "struct": {"bytes": data, "path": "same.jpg" if data else None}}[kind]

    types = {"text": pl.String(), "bytes": pl.Binary(), "struct": pl.Struct({"bytes": pl.Binary, "path": pl.String})}
    schema = {"id": pl.String(), "name": pl.String(), "pic": pl.List(types[kind]), "color": pl.String()}
    rows = [(row.listing_id, row.title, list(map(picture, row.pictures)), row.word) for row in feed]
    path = tmp_path_factory.mktemp("feed") / "a.parquet"
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path, row_group_size=group_rows)
    check(path, feed, batch_rows, embedded=kind != "text")
