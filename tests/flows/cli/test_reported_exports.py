"""`cma init` and `cma ingest` on feeds that people reported, where these are beside the checkout."""

import functools
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flows.cli.init.starter import Started, write_starter
from flows.project.settings import load_settings
from schemas.taxonomy import Taxonomy
from tests.flows.ingestion.ingested import run, select
from tests.places import REPORTED_CASES

pytestmark = [
    pytest.mark.skipif(not REPORTED_CASES.is_dir(), reason="there are no reported cases beside the checkout"),
    pytest.mark.usefixtures("shared_workers"),
]
Start = Callable[[str, str], Started]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a project in a copy of a case's folder, from one of its files."""

    def started(case: str, feed: str) -> Started:
        shutil.copytree(REPORTED_CASES / case, tmp_path, dirs_exist_ok=True)
        (tmp_path / "cma.toml").unlink(missing_ok=True)
        return write_starter(tmp_path, str(tmp_path / feed))

    return started


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A web server for the pictures of the case's folder `web`; its host and port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("CMA_FETCH__ALLOW_PRIVATE", '["127.0.0.9"]')
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with http.server.ThreadingHTTPServer(("127.0.0.9", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.9:{server.server_port}"
        server.shutdown()


def test_magento(start: Start, tmp_path: Path) -> None:
    started = start("06-magento", "feed.csv")
    feed = load_settings(started.config).feeds["mine"]
    assert feed.columns["image"] == ["base_image", "additional_images"]
    assert (feed.image_separator, "style" in feed.labels) == (",", False)
    summary = run(tmp_path)
    assert (summary.accepted, summary.reasons, summary.picture_faults) == (63, {"listing_id_duplicate": 1}, {})
    assert summary.without_picture == 0


def test_shopify(start: Start, shop: str, tmp_path: Path) -> None:
    started = start("11-shopify", "feed.csv")
    assert started.guess.feed.columns == {"listing_id": "Handle", "title": "Title", "image": "Image Src"}
    feed = tmp_path / "feed.csv"
    feed.write_bytes(feed.read_bytes().replace(b"127.0.0.9:8765", shop.encode()))
    summary = run(tmp_path)
    assert (summary.listings, summary.rejected, summary.picture_faults) == (25, 0, {})
    pictures = select(
        tmp_path, "select listing_id, string_agg(uri, ' ' order by position) from listing_images group by 1"
    )
    assert dict(pictures) == {
        f"dress-{n}": " ".join(f"http://{shop}/{n}-{name}.jpg" for name in ("front", "back", "detail"))
        for n in range(25)
    }


def test_woocommerce(start: Start, tmp_path: Path) -> None:
    started = start("12-woocommerce", "feed.csv")
    feed = load_settings(started.config).feeds["mine"]
    assert (feed.columns["listing_id"], feed.columns["title"], feed.columns["image"]) == ("ID", "Name", "Images")
    assert feed.columns["product_id"] == ["Parent", "SKU", "id:{ID}"]
    assert (feed.image_separator, set(feed.labels)) == (",", {"color", "pattern"})
    assert any("labels.style: not guessed" in note for note in started.guess.notes)
    taxonomy, packaged = Taxonomy.load(started.taxonomy), Taxonomy.packaged()
    assert (taxonomy["color"], taxonomy["pattern"]) == (packaged["color"], packaged["pattern"])


def test_hugging_face(start: Start, tmp_path: Path) -> None:
    started = start("21-hf-classlabel", "feed.parquet")
    assert set(Taxonomy.load(started.taxonomy)["color"].value_names) == {"red", "navy", "floral green"}
    summary = run(tmp_path)
    assert (summary.read, summary.accepted, summary.labels["color"].values) == (90, 90, 90)


@pytest.mark.parametrize(
    ("name", "listings"),
    [
        *(("cr.csv", 2), ("crcrlf.csv", 2), ("newline-cells.csv", 2), ("trailing-commas.csv", 1), ("preamble.csv", 1)),
        *(("amazon.txt", 1), ("array.jsonl", 2), ("pretty.jsonl", 2)),
    ],
)
def test_not_quite_tables_are_read(start: Start, tmp_path: Path, name: str, listings: int) -> None:
    started = start("28-not-quite-tables", name)
    summary = run(tmp_path)
    assert summary.listings == listings
    if name == "newline-cells.csv":
        assert load_settings(started.config).feeds["mine"].image_separator == "\n"
        assert select(tmp_path, "select count(*) from listing_images") == [(4,)]


@pytest.mark.parametrize("encoding", ["cp1250", "cp1251", "cp1254", "gb18030", "mac_roman", "shift_jis"])
def test_other_code_pages_are_read_and_doubted(start: Start, tmp_path: Path, encoding: str) -> None:
    started = start("22b-other-code-pages", f"{encoding}.csv")
    assert any(note.startswith("encoding: ") for note in started.guess.notes)
    summary = run(tmp_path)
    assert summary.accepted == summary.read == 50
    titles = [line.split(";")[1] for line in (tmp_path / f"{encoding}.csv").read_text(encoding).splitlines()[1:]]
    assert [title for (title,) in select(tmp_path, "select title from listings order by listing_id::int")] == titles


@pytest.mark.parametrize(
    ("name", "template"),
    [("hm-articles.csv", "images/{article_id:.3}/{article_id}.jpg"), ("styles.csv", "images/{id}.jpg")],
)
def test_a_picture_path_is_made_from_the_id(start: Start, name: str, template: str) -> None:
    started = start("28-not-quite-tables", name)
    assert load_settings(started.config).feeds["mine"].columns["image"] == template
    assert any(template in note for note in started.guess.notes)
