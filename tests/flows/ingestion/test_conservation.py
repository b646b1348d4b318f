"""Whatever a feed holds, no row of it is lost or counted twice, and the catalogue becomes what the feed says."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import duckdb
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from catalog_io.catalog.catalog import Catalog
from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from catalog_io.pictures.fetching.references import picture_key
from catalog_io.staging.settle import settle
from catalog_io.staging.staging import Staging
from schemas.validation import split_valid
from tests.catalog_io.staged import TAXONOMY, feed_rows, store_rows


class Row(NamedTuple):
    listing_id: str | None
    title: str | None
    pictures: tuple[str, ...]
    word: str | None


Feed = Sequence[Row | None]  # None: a row that cannot be read


class Outcome(NamedTuple):
    rows: int
    accepted: int
    pictures: dict[str, list[str]]  # keys in order, by listing
    rejected: dict[int, list[str]]  # codes by row number


# ---- what the rules say, in plain words

BLANKS = "".join(chr(n) for n in (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B)))
BLANKS += "\u2028\u2029\u202f\u205f\u3000"


def codes_of(row: Row) -> list[str]:
    broken = {
        "listing_id_missing": not row.listing_id,
        "listing_id_too_long": len(row.listing_id or "") > 200,
        "listing_id_control_character": any(unicodedata.category(c) == "Cc" for c in row.listing_id or ""),
        "title_missing": not row.title,
        "title_too_long": len(row.title or "") > 2000,
        "title_control_character": any(unicodedata.category(c) == "Cc" for c in row.title or ""),
        "image_too_many": len(row.pictures) > 100,
    }
    return [code for code, is_broken in broken.items() if is_broken]


def expected(feed: Feed, *, embedded: bool) -> Outcome:
    """The first row with an id has it; later good ones that differ in their pictures only are more pictures of it."""
    firsts: dict[str, Row | None] = {}  # None: a rejected one
    named: dict[str, list[tuple[str, ...]]] = {}
    rejected: dict[int, list[str]] = {}
    for number, given_row in enumerate(feed, 1):
        if given_row is None:
            rejected[number] = ["row_unreadable"]
            continue
        row = Row(
            (given_row.listing_id or "").strip(BLANKS),
            re.sub(f"[{BLANKS}]+", " ", given_row.title or "").strip(" "),
            tuple(name if embedded else name.strip(BLANKS) for name in given_row.pictures if name),
            (given_row.word or "").strip(BLANKS),
        )
        listing_id, codes = str(row.listing_id), codes_of(row)
        if listing_id and listing_id in firsts:
            first = firsts[listing_id]
            alike = first is not None and first._replace(pictures=()) == row._replace(pictures=())
            if codes or not alike or not row.pictures or _once(row.pictures) in named[listing_id]:
                codes.append("listing_id_duplicate")
            else:
                named[listing_id].append(_once(row.pictures))
        elif listing_id:
            firsts[listing_id] = None if codes else row
            named[listing_id] = [_once(row.pictures)]
        if codes:
            rejected[number] = codes
    pictures = {
        listing_id: list(dict.fromkeys(name for names in named[listing_id] for name in names))
        for listing_id, first in firsts.items()
        if first is not None
    }
    return Outcome(len(feed), len(feed) - len(rejected), pictures, rejected)


def _once(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


# ---- what the program does


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


# ---- feeds of all kinds; the same ids, titles and pictures come again and again

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\",;\t|\r\n'\\\0\x1f\u2028 "), max_size=6)
NAMES = st.lists(st.sampled_from(["p", "q", "r", 'a "b", c.jpg', "é|;\t", ""]), max_size=3).map(tuple)
ROWS = st.builds(
    Row,
    st.sampled_from(["A", "A", "A", "\u3000A ", "B", "B\n", "", None, "x" * 200, "x" * 201]) | TEXT,
    st.sampled_from(["T", "T", "T", " T\r\n", "T U", "T\u2003 U", "", None, "x" * 2000, "x" * 2001, "T\x1b"]) | TEXT,
    NAMES | NAMES | NAMES | st.just(("p",) * 101) | st.just(("p",) * 100),
    st.sampled_from(["red", "red ", "", None]),
)
FEEDS = st.lists(ROWS | ROWS | ROWS | ROWS | st.none(), max_size=10)
BATCHES = st.integers(1, 12)
EXAMPLES = settings(deadline=None, max_examples=60)

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


# ---- one feed after another

STORED = st.lists(
    st.fixed_dictionaries(
        {
            "listing_id": st.sampled_from("AABCD"),
            "title": st.sampled_from(["T", "T", "T", "U", ""]),
            "pictures": st.lists(st.sampled_from(["p", "q", "r"]), max_size=3),
            "label_word_color": st.sampled_from(["red", "red", "Grey", "mauve", None]),
        }
    ),
    max_size=7,
)
FAULTS = st.lists(st.sampled_from(["p", "q", "r"]), unique=True, max_size=2)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """One for all examples, which are feeds of their own in it."""
    catalog = Catalog(tmp_path_factory.mktemp("home"))
    catalog.create(TAXONOMY)
    return catalog


@settings(deadline=None, max_examples=30)
@given(STORED, FAULTS, STORED, FAULTS, st.uuids())
def test_a_catalogue_becomes_what_its_latest_feed_says(
    catalog: Catalog,
    before: list[Mapping[str, Any]],
    faults_before: list[str],
    latest: list[Mapping[str, Any]],
    faults: list[str],
    name: UUID,
) -> None:
    used, fresh = f"{name}-used", f"{name}-fresh"
    store_rows(catalog, feed_rows(*before), feed=used, faults=faults_before)
    for feed in (used, fresh):
        store_rows(catalog, feed_rows(*latest), feed=feed, faults=faults, run="r2")
    wanted, is_there = active(catalog, fresh), active(catalog, used)
    # A listing stays as it was while its row in the feed is rejected; one that is in no row becomes inactive.
    kept = is_there["listings"].keys() - wanted["listings"].keys()
    assert kept <= {row["listing_id"] for row in before} & {row["listing_id"] for row in latest}
    assert is_there.pop("rejections") == wanted.pop("rejections")
    for table, rows in is_there.items():
        assert {key: row for key, row in rows.items() if key not in kept} == wanted[table]


def active(catalog: Catalog, feed: str) -> dict[str, dict[str, list[tuple[Any, ...]]]]:
    """A feed's rows by table and listing, of active listings only; of a picture that fails now, without the last good
    one, which only a feed with a past has."""
    queries = {
        "listings": "select listing_id, product_id, title from listings where feed = $feed and inactive_since is null",
        "pictures": """select i.listing_id, position, uri, code, reason, case when code is null then i.image_hash end
                       from listing_images i join listings using (feed, listing_id)
                       where feed = $feed and inactive_since is null""",
        "labels": """select listing_id, attribute, source, word, value
                     from labels join listings using (feed, listing_id)
                     where feed = $feed and inactive_since is null""",
        "rejections": "select listing_id, row_number, codes from rejections where feed = $feed",
    }
    found: dict[str, dict[str, list[tuple[Any, ...]]]] = {}
    with duckdb.connect(str(catalog.home / "work.duckdb"), read_only=True) as connection:
        for table, sql in queries.items():
            rows = found[table] = {}
            for key, *values in connection.execute(f"{sql} order by all", {"feed": feed}).fetchall():
                rows.setdefault(key, []).append(tuple(values))
    return found
