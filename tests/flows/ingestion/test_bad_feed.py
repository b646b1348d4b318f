"""Feeds with everything wrong that we know of (`malformed`): each row, picture and file fails alone, and says why."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import polars as pl
import pytest

import catalog_io
from catalog_io.catalog.snapshot import publish, query
from catalog_io.feeds.columns import RAW_CHARACTERS
from flows.ingestion.ingest import FeedSummary, ingest
from flows.project.project import Project
from flows.project.settings import load_settings
from flows.reports.noise_report import report
from schemas.errors import ConfigurationError, UserError
from schemas.listings import REASONS
from tests.catalog_io.feeds import malformed
from tests.catalog_io.feeds.malformed import (
    BYTES,
    COLUMNS,
    FEEDS,
    FILES,
    GOOD,
    HOST,
    JPEG,
    MORE_PICTURES,
    Broken,
    Feed,
    Named,
)

PROJECT = f"""\
[fetch]
timeout = 2
max_bytes = {malformed.MAX_BYTES}
allow_private = ["{HOST}"]
"""


def toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(inner)}" for key, inner in value.items()) + " }"
    return json.dumps(value)


def feed_section(name: str, settings: Mapping[str, Any]) -> str:
    lines = [f"{key} = {toml(value)}" for key, value in ({"columns": COLUMNS} | dict(settings)).items()]
    return "\n".join([f"[feeds.{name}]", *lines, ""])


def filled(settings: Mapping[str, Any], **places: object) -> dict[str, Any]:
    """With {folder} and {web} in their texts filled in."""

    def fill(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        for place, where in places.items():
            value = value.replace(f"{{{place}}}", str(where))
        return value

    return {key: fill(value) for key, value in settings.items()}


def tables(home: Path) -> dict[str, pl.DataFrame]:
    """The whole catalogue, views too."""
    with duckdb.connect(str(home / "work.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from information_schema.tables").fetchall()
        return {name: connection.execute(f'select * from "{name}" order by all').pl() for (name,) in names}


# ---- rows and pictures


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
    malformed.lay_out(folder / "pictures")
    sections = [PROJECT]
    sources = {"named": {"source": "named.jsonl"}, "embedded": {"source": "embedded.parquet"}}
    for feed in FEEDS:
        (folder / feed.name).mkdir()
        sources[feed.name] = filled(feed.settings, folder=folder / feed.name)
    sections += [feed_section(name, {"images": "pictures"} | settings) for name, settings in sources.items()]
    (folder / "cma.toml").write_text("\n".join(sections), encoding="utf-8")
    with malformed.serving() as web, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        pictures = malformed.named_pictures(web)

        def ingested() -> State:
            project = Project.open(folder / "cma.toml")
            return State({summary.feed: summary for summary in ingest(project)}, tables(project.home))

        for feed in FEEDS:
            feed.write(folder / feed.name)
        malformed.write_named(folder / "named.jsonl", pictures)
        malformed.write_embedded(folder / "embedded.parquet")
        first, second = ingested(), ingested()
        for feed in FEEDS:
            feed.write_healed(folder / feed.name)
        malformed.write_named(folder / "named.jsonl", {name: Named(GOOD, "") for name in pictures})
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


def test_the_same_again_changes_nothing(story: Story) -> None:
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


def test_made_good_nothing_is_rejected_any_more(story: Story) -> None:
    assert story.healed.tables["rejections"].is_empty()
    for feed, summary in story.healed.feeds.items():
        assert (summary.read, summary.rejected) == (story.first.feeds[feed].read, 0)
        assert (summary.accepted, summary.reasons) == (summary.read, {})
    assert story.healed.feeds["named"].picture_faults == story.healed.feeds["embedded"].picture_faults == {}


def test_the_corpus_has_every_code() -> None:
    entries = (
        sum(len(feed.bad) for feed in FEEDS) + len(BYTES) + len(malformed.PLACES) + len(malformed.WEB) + len(FILES)
    )
    assert entries >= 80
    rows = {code for feed in FEEDS for row in feed.bad for code in row.codes.split()}
    assert rows == set(REASONS)
    pictures = {picture.code for picture in malformed.named_pictures("").values()} - {""}
    source = "".join(path.read_text(encoding="utf-8") for path in Path(catalog_io.__path__[0]).rglob("*.py"))
    raised = set(re.findall(r"""PictureError\(\s*["'](picture_\w+)""", source))
    assert pictures == raised


# ---- whole files


@pytest.fixture(scope="module")
def web() -> Iterator[str]:
    with malformed.serving() as address:
        yield address


class Shop(NamedTuple):
    """A project whose feed `shop` has been ingested, and its catalogue."""

    project: Project
    tables: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    (folder / GOOD).write_bytes(JPEG)
    (folder / "feed.csv").write_bytes(malformed.HEAD + b"1,Dress,good.jpg\n2,Coat,absent.jpg\n3,,good.jpg\n")
    (folder / "cma.toml").write_text(PROJECT + feed_section("shop", {"source": "feed.csv"}), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_INGEST__DASK", picture_workers)
        project = Project.open(folder / "cma.toml")
    ingest(project)
    return Shop(project, tables(project.home))


@pytest.mark.parametrize("broken", FILES, ids=lambda broken: broken.name)
def test_a_broken_file_is_named_and_changes_nothing(
    shop: Shop, web: str, broken: Broken, tmp_path: Path, shared_workers: None
) -> None:
    for name, content in broken.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    settings = filled({"source": broken.source} | dict(broken.settings), folder=tmp_path, web=web)
    config = shop.project.home.parent / f"{tmp_path.name}.toml"
    config.write_text(PROJECT + feed_section("shop", settings), encoding="utf-8")
    project = Project(config, load_settings(config), shop.project.taxonomy)
    with pytest.raises(UserError) as raised:
        ingest(project)
    assert re.search(broken.said, str(raised.value)), str(raised.value)
    assert isinstance(raised.value, ConfigurationError) == (broken.error is ConfigurationError)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", str(raised.value))  # it is shown in a terminal
    after = tables(project.home)
    assert [name for name, table in shop.tables.items() if name != "runs" and not after[name].equals(table)] == []


# ---- secrets

SECRETS = ("hunter2pass", "tokenS3cr3t", "s1gnaturE", "bearerT0ken")


def test_no_secret_of_a_feed_is_kept_anywhere(
    tmp_path: Path, web: str, shared_workers: None, capfd: pytest.CaptureFixture[str]
) -> None:
    host = web.removeprefix("http://")
    signed = "?w=1&X-Amz-Signature=s1gnaturE&token=tokenS3cr3t"
    urls = {
        "good": f"http://user:hunter2pass@{host}/good{signed}",
        "login alone": f"http://bearerT0ken@{host}/good",
        "unusable": f"http://user:hunter2pass@{host}/page{signed}",
        "absent": f"http://user:hunter2pass@{host}/absent{signed}",
        "sent on": f"http://user:hunter2pass@{host}/to-rubbish{signed}",
        "forbidden": f"https://user:hunter2pass@127.0.0.1/a.jpg{signed}",
        "bad port": f"https://user:hunter2pass@127.0.0.1:port/a.jpg{signed}",
        "bad port, long": f"https://user:{'hunter2pass' * 30}@127.0.0.1:port/a.jpg{signed}",
        "no such scheme": f"ftp://user:hunter2pass@shop.example/a.jpg{signed}",
        "no scheme": f"//user:hunter2pass@shop.example/a.jpg{signed}",
        "relative": f"a.jpg{signed}",
        "a fragment": "https://127.0.0.1/a.jpg#access_token=tokenS3cr3t",
    }
    rows = [{"id": name, "title": "Dress", "image": url} for name, url in urls.items()]
    rows += [{"id": f"{name}, rejected", "title": "", "image": url} for name, url in urls.items()]
    rows += [
        {"id": f"{name}, several", "title": "Dress", "image": json.dumps([GOOD, url])} for name, url in urls.items()
    ]
    rows += [
        {"id": f"{name}, several, rejected", "title": "", "image": json.dumps([url])} for name, url in urls.items()
    ]
    table = pl.DataFrame(rows)
    table.write_csv(tmp_path / "secret.csv")
    with (tmp_path / "secret.csv").open("a", encoding="utf-8") as file:
        file.writelines(f"ragged,{url}\n" for url in urls.values())
    table.write_parquet(tmp_path / "secret.parquet")
    lines = [json.dumps(row) for row in rows]
    lines += [line.replace("/", "\\/") for line in lines]  # as PHP writes JSON
    lines += [line.replace("&", "\\u0026") for line in lines]  # as Go writes it
    lines += [line[:-1] for line in lines]
    (tmp_path / "secret.jsonl").write_text("\n".join(lines), encoding="utf-8")
    sections = [feed_section(kind, {"source": f"secret.{kind}"}) for kind in ("csv", "parquet", "jsonl")]
    (tmp_path / GOOD).write_bytes(JPEG)
    config = tmp_path / "cma.toml"
    config.write_text("\n".join([PROJECT, *sections]), encoding="utf-8")
    project = Project.open(config)
    ingest(project)
    sources = {
        "database": {"source": f"postgresql://user:hunter2pass@{HOST}:1/db?password=tokenS3cr3t", "query": "select 1"},
        "site": {"source": f"http://user:hunter2pass@{HOST}:1/feed.csv{signed}"},
        "login": {"source": f"http://user:hunter2pass@{host}/login{signed}"},
        "gone": {"source": f"http://bearerT0ken@{host}/absent.csv{signed}"},
        "rubbish": {"source": f"nosuch://user:hunter2pass@{host}/absent.csv{signed}"},
        "pictures": {"source": "secret.csv", "images": f"http://user:hunter2pass@{HOST}:1/{signed}"},
    }
    messages = []
    for name, settings in sources.items():
        config.write_text(PROJECT + feed_section(name, settings), encoding="utf-8")
        with pytest.raises(UserError) as raised:
            ingest(Project.open(config))
        messages.append(str(raised.value))
    publish(project.home)
    page = report(project).page
    with duckdb.connect(str(project.home / "catalog.duckdb"), read_only=True) as connection:
        names = connection.execute("select table_name from information_schema.tables").fetchall()
        stored = {name: connection.execute(f'select t::text from "{name}" t').fetchall() for (name,) in names}
    assert len(stored["rejections"]) > 100
    assert len(stored["noisy_listings"]) > 50
    leaks = [
        (table, secret, text[:100])
        for table, texts in stored.items()
        for (text,) in texts
        for secret in SECRETS
        if secret in text
    ]
    assert not leaks
    said = "".join([*messages, *capfd.readouterr()])
    files = {path: path.read_bytes() for path in project.home.rglob("*") if path.is_file()}
    assert page in files and page.with_suffix(".csv") in files
    for secret in SECRETS:
        assert secret not in said
        assert [path for path, content in files.items() if secret.encode() in content] == []


# ---- from end to end


def test_a_night_with_a_bad_feed(project_copy: Path) -> None:
    folder = project_copy.parent / "bad"
    malformed.lay_out(folder)
    good = [f"GOOD-{n},A good red dress {n},good.jpg" for n in range(3)]
    title_only = {f"pic-{name}": name for name in BYTES} | {
        "absent": "absent.jpg",
        "outside": "../secret.jpg",
        "none": "",
    }
    bad = [",No id,good.jpg", "no-title,  ,good.jpg", "GOOD-0,The same id again,good.jpg", "ragged,Two cells"]
    rows = [*good, *(f"{name},A blue shirt with {name},{image}" for name, image in title_only.items()), *bad]
    (folder / "listings.csv").write_bytes(
        "\n".join(["id,title,image", *rows, ""]).encode() + b"latin,R\xf6d,good.jpg\n"
    )
    with project_copy.open("a", encoding="utf-8") as file:
        file.write("\n" + feed_section("bad", {"source": "bad/listings.csv", "images": "bad"}))
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import flows.cli.commands; flows.cli.commands.main()",
            "nightly",
            "--config",
            str(project_copy),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    listed, rejected = len(good) + len(title_only), len(bad) + 1
    assert (
        f"feed bad  {listed + rejected} rows read = {listed} accepted ({listed} new, 0 changed, 0 unchanged) + "
        f"{rejected} rejected" in " ".join(done.stdout.split("\n"))
    )
    assert f"{len(title_only)} listings have no usable picture" in done.stdout
    home = Project.open(project_copy).home
    assert query(home, "select 1 from rejections where feed = 'bad'").height == rejected
    tagged = query(home, "select listing_id, count(*) as n from tags where feed = 'bad' group by all")
    assert dict(tagged.iter_rows()) == dict.fromkeys([*title_only, "GOOD-0", "GOOD-1", "GOOD-2"], 3)
    noisy = query(home, "select listing_id from noisy_listings where feed = 'bad' and kind = 'unusable_picture'")
    assert sorted(noisy["listing_id"]) == sorted(set(title_only) - {"none"})
