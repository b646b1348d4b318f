"""Product feeds in XML: Google Merchant's RSS and Atom, lists of products, and XML that must not be read."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError
from tests.catalog_io.feeds.feed_files import feed, read, uris, write

COLUMNS = {"listing_id": "id", "title": "title", "image": ["image_link", "additional_image_link"]}
RSS = """<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Shop</title><link>https://s.invalid</link>
<item><g:id>A1</g:id><title>Red dress, short</title><g:title>Red <![CDATA[& blue]]> dress</g:title>
 <g:image_link>https://s.invalid/a.jpg</g:image_link>
 <g:additional_image_link>https://s.invalid/b.jpg</g:additional_image_link>
 <g:additional_image_link>https://s.invalid/c.jpg</g:additional_image_link>
 <g:color>Red</g:color><g:shipping><g:country>DE</g:country><g:price>5 EUR</g:price></g:shipping></item>
<item><g:id>A2</g:id><g:title>Blue dress</g:title><g:image_link/><g:color/></item>
</channel></rss>
"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>
<entry><id>tag:1</id><g:id>A1</g:id><title>Red dress</title><link href="https://s.invalid/a"/>
<g:image_link>a.jpg</g:image_link><g:additional_image_link>b.jpg</g:additional_image_link><g:color>Red</g:color></entry>
</feed>"""


@pytest.mark.parametrize("prefix", ["", "g:"])
def test_rss_of_google_merchant(tmp_path: Path, prefix: str) -> None:
    columns: dict[str, Any] = {
        ours: [f"{prefix}{name}" for name in theirs] if isinstance(theirs, list) else f"{prefix}{theirs}"
        for ours, theirs in COLUMNS.items()
    }
    frame = read(write(tmp_path / "a.xml", RSS), {"color": f"{prefix}color"}, columns=columns)
    assert frame["listing_id"].to_list() == ["A1", "A2"]
    assert frame["title"].to_list() == ["Red & blue dress", "Blue dress"]
    assert uris(frame) == [[f"https://s.invalid/{name}.jpg" for name in "abc"], []]
    assert frame["label_word_color"].to_list() == ["Red", None]
    assert json.loads(frame["raw"][0])["shipping"] == {"country": "DE", "price": "5 EUR"}


def test_atom_of_google_merchant(tmp_path: Path) -> None:
    path = tmp_path / "a.xml.gz"
    path.write_bytes(gzip.compress(ATOM.encode()))
    frame = read(path, {"color": "color"}, columns=COLUMNS)
    assert frame.select("listing_id", "title").rows() == [("A1", "Red dress")]
    assert uris(frame) == [["a.jpg", "b.jpg"]]
    assert json.loads(frame["raw"][0])["link"] == "https://s.invalid/a"
    assert feed_shape(FeedSettings("mine", str(path))).columns[:3] == ["id", "title", "link"]


def test_a_list_of_offers_and_its_attributes(tmp_path: Path) -> None:
    body = (
        '<?xml version="1.0" encoding="windows-1251"?><shop><offers><offer id="7" available="true"><name>Платье</name>'
        "<picture>a.jpg</picture><picture>b.jpg</picture></offer></offers></shop>"
    )
    columns = {"listing_id": "id", "title": "name", "image": "picture"}
    frame = read(write(tmp_path / "a.xml", body.encode("windows-1251")), columns=columns)
    assert frame.select("listing_id", "title").rows() == [("7", "Платье")]
    assert uris(frame) == [["a.jpg", "b.jpg"]]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "not well-formed"),
        ("<rss><channel>", "not well-formed"),
        ("<rss><channel><item><id>1</id></item>", "not well-formed"),
        ("<rss><item><id>1</id><title>A & B</title></item></rss>", "not well-formed XML: .*line 1"),
        ("<rss><channel><title>no products</title></channel></rss>", "the XML has no products"),
        ("<rss><item><id>1</id><title>A</title></item></rss>", "no column 'image_link'"),
        ('<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss><item><id>&b;</id></item></rss>', "document type"),
        ('<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><rss><item><id>&x;</id></item></rss>', "document type"),
        ('<!DOCTYPE r SYSTEM "https://h.invalid/a.dtd"><rss><item><id>1</id></item></rss>', "document type"),
        ('<?xml version="1.0" encoding="klingon"?><rss/>', "UTF-8|well-formed"),
        ('<?xml version="1.0" encoding="shift_jis"?><rss/>', "save the file as UTF-8"),
    ],
)
def test_xml_that_is_refused(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(write(tmp_path / "a.xml", body), columns=COLUMNS)


def test_a_fault_far_into_the_file_is_named(tmp_path: Path) -> None:
    item = "<item><id>1</id><title>T</title><image_link>a</image_link></item>"
    path = write(tmp_path / "a.xml", "<rss>" + item * 80_000 + "<item>")
    frames = read_feed(feed(path, columns={**COLUMNS, "image": "image_link"}))
    assert next(frames).height == 10_000
    with pytest.raises(UserError, match=r"a\.xml: this is not well-formed XML"):
        list(frames)


def test_items_too_long_or_too_deep_are_unreadable_rows(tmp_path: Path) -> None:
    good = "<item><id>1</id><title>T</title><image_link>a</image_link></item>"
    deep = "<item><id>2</id>" + "<a>" * 200 + "</a>" * 200 + "</item>"
    path = tmp_path / "a.xml"
    with path.open("w") as file:
        file.write(f"<rss>{good}{deep}{good}<item><id>3</id>")
        for _ in range(60):
            file.write("<x>" + "y" * 500_000 + "</x>")
        file.write(f"</item>{good}</rss>")
    tracemalloc.start()
    frame = read(path, columns={**COLUMNS, "image": "image_link"})
    assert tracemalloc.get_traced_memory()[1] < 90_000_000  # the file has 30 MB, of which a row keeps 10 as text
    tracemalloc.stop()
    assert [bool(fault) for fault in frame["fault"]] == [False, True, False, True, False]
    assert "nested" in frame["fault"][1]
    assert "10,000,000 characters" in frame["fault"][3]


def test_a_tag_that_never_ends_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", "<rss><item><id>1</id></item><item><id>2</id><a b='" + "x" * 15_000_000)
    with pytest.raises(UserError, match="a tag of the XML has more than"):
        list(read_feed(feed(path, columns=dict.fromkeys(COLUMNS, "id"))))


TEXT = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cn", "Cc"]), max_size=8)


@settings(max_examples=60)
@given(st.lists(st.tuples(TEXT, TEXT, st.lists(TEXT, max_size=3)), min_size=1, max_size=6), st.integers(1, 7))
def test_every_item_is_one_row(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[str, str, list[str]]], batch_rows: int
) -> None:
    body = "".join(
        f"<item key={quoteattr(i)} id='other'><id>{escape(i)}</id><title>{escape(t)}</title><p/>"
        f"{''.join(f'<p>{escape(p)}</p>' for p in pictures)}</item>"
        for i, t, pictures in items
    )
    path = write(tmp_path_factory.mktemp("feed") / "a.xml", f"<rss>{body}</rss>")
    columns = {"listing_id": "id", "title": "title", "image": "p", "product_id": "key"}
    frames = list(read_feed(feed(path, columns=columns), batch_rows=batch_rows))
    rows = [row for frame in frames for row in frame.select("row_number", "listing_id", "title").iter_rows()]
    assert rows == [(n, i.strip() or None, t.strip() or None) for n, (i, t, _) in enumerate(items, 1)]
    assert max(frame.height for frame in frames) <= batch_rows
    assert [len(row) for frame in frames for row in uris(frame)] == [
        sum(bool(name.strip()) for name in pictures) for *_, pictures in items
    ]
