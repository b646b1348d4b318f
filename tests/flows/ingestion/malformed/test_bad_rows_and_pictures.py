"""Malformed feeds of every format: each bad row and picture is reported with its code, and affects nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

import catalog_io
from catalog_io.feeds.raw_rows import RAW_CHARACTERS
from flows.ingestion.ingest import FeedSummary, ingest
from flows.project.project import Project
from schemas.listings import REASONS
from tests.catalog_io.feeds.malformed.feeds import FEEDS, Feed
from tests.catalog_io.feeds.malformed.files import FILES
from tests.catalog_io.feeds.malformed.pictures import BYTES, JPEG, PLACES, lay_out
from tests.catalog_io.feeds.malformed.rows import GOOD, MORE_PICTURES
from tests.catalog_io.feeds.malformed.web import WEB, Named, named_pictures, serving, write_embedded, write_named
from tests.flows.ingestion.malformed.bad_feed_project import PROJECT, feed_section, filled, tables


class State(NamedTuple):
    """After one ingest of everything."""

    feeds: dict[str, FeedSummary]
    tables: dict[str, pl.DataFrame]


class Story(NamedTuple):
    home: Path
    pictures: dict[str, Named]  # of feed `named`
    first: State
    second: State  # with the same feeds once more
    healed: State  # with everything made good


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("bad")
    lay_out(folder / "pictures")
    sections = [PROJECT]
    sources = {"named": {"source": "named.jsonl"}, "embedded": {"source": "embedded.parquet"}}
    for feed in FEEDS:
        (folder / feed.name).mkdir()
        sources[feed.name] = filled(feed.settings, folder=folder / feed.name)
    sections += [feed_section(name, {"images": "pictures"} | settings) for name, settings in sources.items()]
    (folder / "cma.toml").write_text("\n".join(sections), encoding="utf-8")
    with serving() as web, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        pictures = named_pictures(web)

        def ingested() -> State:
            project = Project.open(folder / "cma.toml")
            return State({summary.feed: summary for summary in ingest(project)}, tables(project.home))

        for feed in FEEDS:
            feed.write(folder / feed.name)
        write_named(folder / "named.jsonl", pictures)
        write_embedded(folder / "embedded.parquet")
        first, second = ingested(), ingested()
        for feed in FEEDS:
            feed.write_healed(folder / feed.name)
        write_named(folder / "named.jsonl", {name: Named(GOOD, "") for name in pictures})
        rows = [{"id": f"bytes {name}", "title": "Dress", "image": JPEG} for name in BYTES]
        pl.DataFrame(rows).write_parquet(folder / "embedded.parquet")
        yield Story(folder / "warehouse", pictures, first, second, ingested())


def codes_of(state: State, feed: str) -> dict[int, list[str]]:
    rejections = state.tables["rejections"].filter(feed=feed).select("row_number", "codes")
    found = dict(rejections.iter_rows())
    assert len(found) == rejections.height
    return found


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_every_bad_row_is_rejected_with_its_codes_and_no_other(story: Story, feed: Feed) -> None:
    names = {number: row.name for number, row in enumerate(feed.rows, 1)}
    expected = {row.name: row.codes.split() for row in feed.rows if row.codes}
    found = {names[number]: codes for number, codes in codes_of(story.first, feed.name).items()}
    assert found == expected


@pytest.mark.parametrize("feed", FEEDS, ids=lambda feed: feed.name)
def test_all_rows_are_accepted_or_rejected(story: Story, feed: Feed) -> None:
    rows, summary = feed.rows, story.first.feeds[feed.name]
    rejected = [row for row in rows if row.codes]
    assert (summary.read, summary.rejected) == (len(rows), len(rejected))
    assert summary.accepted == summary.read - summary.rejected
    more_pictures = sum(row.name == MORE_PICTURES for row in rows)
    assert summary.listings == summary.inserted == summary.accepted - more_pictures
    listings = story.first.tables["listings"].filter(feed=feed.name)
    assert listings["listing_id"].n_unique() == listings.height == summary.listings
    assert {f"GOOD-{n}" for n in range(len(feed.bad))} <= set(listings["listing_id"])
    assert listings["inactive_since"].null_count() == listings.height


def test_rejections_say_why_and_show_the_row(story: Story) -> None:
    rejections = story.first.tables["rejections"]
    for codes, reason, raw in rejections.select("codes", "reason", "raw").iter_rows():
        sentences = reason.split("; ")
        assert len(sentences) >= len(codes)
        assert all(any(REASONS[code] in sentence for sentence in sentences) for code in codes)
        assert reason.isprintable()
        assert isinstance(json.loads(raw), dict | list | str)
        assert 2 <= len(raw) <= 2 * RAW_CHARACTERS + 2
    unreadable = rejections.filter(pl.col("codes").list.contains("row_unreadable"))["reason"]
    assert all(len(reason) > len(REASONS["row_unreadable"]) + 5 for reason in unreadable)


def test_every_unusable_picture_says_why_and_costs_only_itself(story: Story) -> None:
    images = story.first.tables["listing_images"]
    expected = {name: picture.code or None for name, picture in story.pictures.items()}
    named = images.filter(feed="named")
    assert dict(named.select("listing_id", "code").iter_rows()) == expected
    expected = {f"bytes {name}": code for name, (_, code) in BYTES.items()}
    assert dict(images.filter(feed="embedded").select("listing_id", "code").iter_rows()) == expected
    for code, reason, image_hash in images.select("code", "reason", "image_hash").iter_rows():
        assert (image_hash is None) == (code is not None) == (reason is not None)
        assert reason is None or (reason.isprintable() and 20 < len(reason) < 400)
    for feed in ("named", "embedded"):
        summary, faults = story.first.feeds[feed], images.filter(pl.col("code").is_not_null(), feed=feed)
        assert (summary.rejected, summary.listings) == (0, summary.read)
        assert summary.picture_faults == dict(faults.group_by("code").len().iter_rows())
        assert summary.without_picture == faults.height


def test_unusable_pictures_are_noisy_listings(story: Story) -> None:
    keys = ["feed", "listing_id", "uri"]
    images = story.first.tables["listing_images"].filter(pl.col("code").is_not_null())
    assert story.first.tables["unusable_pictures"].select(keys).sort(keys).equals(images.select(keys).sort(keys))
    noisy = story.first.tables["noisy_listings"]
    assert set(noisy["kind"]) == {"unusable_picture"}
    details = [f"{reason} ({uri})" for reason, uri in images.select("reason", "uri").iter_rows()]
    assert sorted(noisy["detail"]) == sorted(details)


def test_a_second_ingest_changes_nothing(story: Story) -> None:
    for feed, summary in story.second.feeds.items():
        before = story.first.feeds[feed]
        assert (summary.inserted, summary.updated, summary.gone, summary.returned) == (0, 0, 0, 0)
        assert summary.unchanged == before.listings
        assert (summary.reasons, summary.picture_faults) == (before.reasons, before.picture_faults)
        assert summary.pictures_new == 0
    of_run = {"rejections": ("run_id", "last_seen"), "picture_sources": ("checked_at",)}
    for name, table in story.first.tables.items():
        if name != "runs":
            unchanged = [column for column in table.columns if column not in of_run.get(name, ())]
            assert story.second.tables[name].select(unchanged).equals(table.select(unchanged)), name


def test_a_corrected_feed_has_no_rejections(story: Story) -> None:
    assert story.healed.tables["rejections"].is_empty()
    for feed, summary in story.healed.feeds.items():
        assert (summary.read, summary.rejected) == (story.first.feeds[feed].read, 0)
        assert (summary.accepted, summary.reasons) == (summary.read, {})
    assert story.healed.feeds["named"].picture_faults == story.healed.feeds["embedded"].picture_faults == {}


def test_the_corpus_has_every_code() -> None:
    entries = sum(len(feed.bad) for feed in FEEDS) + len(BYTES) + len(PLACES) + len(WEB) + len(FILES)
    assert entries >= 80
    rows = {code for feed in FEEDS for row in feed.bad for code in row.codes.split()}
    assert rows == set(REASONS)
    pictures = {picture.code for picture in named_pictures("").values()} - {""}
    source = "".join(path.read_text(encoding="utf-8") for path in Path(catalog_io.__path__[0]).rglob("*.py"))
    raised = set(re.findall(r"""PictureError\(\s*["'](picture_\w+)""", source))
    assert pictures == raised
