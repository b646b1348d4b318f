"""Pictures that an older version stored are made anew at the next ingest, once."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from catalog_io.pictures import units
from catalog_io.pictures.units import unit_folder, write_unit
from catalog_io.pictures.work import PICTURE_WORK
from flows.ingestion.ingest import FeedSummary
from tests.flows.ingestion.shop import CONFIG, change, content, outcome, run, select, write_feed

# As a version without PIXEL_RULES, and one with others, have them: in a form that this version does not make.
OLD_SHOPS = [
    "alter table picture_sources drop column pixel_rules; alter table picture_sources drop column root",
    "update picture_sources set pixel_rules = 1",
]


def make_older(shop: Path, how: str) -> None:
    change(shop, how)
    for table in ("picture_sources", "images", "listing_images", "listings"):
        change(shop, f"update {table} set image_hash = 'old-' || image_hash")
    change(shop, "update listings set row_hash = 'old'")


@pytest.mark.parametrize("how", OLD_SHOPS)
def test_pictures_of_an_older_version_are_shrunk_anew_once(shop: Path, how: str) -> None:
    run(shop)
    expected = content(shop)
    make_older(shop, how)
    assert outcome(run(shop)) == (0, 3, 0, 3, 3)
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)
    change(shop, "delete from images where image_hash like 'old-%'")
    assert content(shop) == expected


@pytest.mark.parametrize("how", OLD_SHOPS)
def test_embedded_pictures_too(shop: Path, how: str) -> None:
    rows = [{"id": i, "title": "Dress", "image": (shop / "a.jpg").read_bytes(), "color": "red"} for i in "ABC"]
    rows.append({"id": "D", "title": "Dress", "image": b"not a picture", "color": "red"})
    (shop / "cma.toml").write_text(CONFIG.format(source="feed.parquet"), encoding="utf-8")
    pl.DataFrame(rows).write_parquet(shop / "feed.parquet")
    run(shop)
    make_older(shop, how)
    assert outcome(run(shop)) == (0, 4, 0, 2, 1)
    assert outcome(run(shop)) == (0, 0, 4, 0, 0)


def test_a_picture_that_cannot_be_made_anew_stays_and_is_tried_once(shop: Path) -> None:
    run(shop)
    make_older(shop, OLD_SHOPS[0])
    (shop / "b.jpg").write_bytes(b"broken since")
    assert outcome(run(shop)) == (0, 3, 0, 3, 2)
    assert select(shop, "select listing_id from listings where image_hash like 'old-%'") == [("B",)]
    assert select(shop, "select listing_id, earlier_picture_kept from unusable_pictures") == [("B", True)]
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)


def test_a_picture_that_an_older_version_refused_is_tried_again(shop: Path) -> None:
    run(shop)
    change(shop, """update picture_sources set code = 'picture_truncated', reason = 'cut off', image_hash = null,
                    pixel_rules = 1 where key in (select key from picture_sources order by key limit 1)""")  # fmt: skip
    assert run(shop).picture_faults == {}


@pytest.fixture
def server(shop: Path) -> Iterator["Server"]:
    """Serves the shop's pictures; its project names them by URL."""
    with Server(shop) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        write_feed(shop, [{"id": i, "image": f"{url}/{i.lower()}.jpg?v=1700000000"} for i in "ABC"])
        text = '[fetch]\nallow_private = ["127.0.0.1"]\n' + CONFIG.format(source="feed.csv")
        (shop / "cma.toml").write_text(text, encoding="utf-8")
        yield server
        server.shutdown()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.status, self.asked = folder, 200, list[tuple[str, str | None]]()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        known, name = self.headers.get("If-None-Match"), self.path.lstrip("/").partition("?")[0]
        self.server.asked.append((name, known))
        body = (self.server.folder / name).read_bytes()
        status = 304 if known == '"tag"' and self.server.status == 200 else self.server.status
        self.send_response(status)
        self.send_header("ETag", '"tag"')
        self.end_headers()
        if status == 200:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def asked(server: Server, shop: Path) -> tuple[FeedSummary, list[tuple[str, str | None]]]:
    server.asked.clear()
    return run(shop), sorted(server.asked)


FRESH = [("a.jpg", None), ("b.jpg", None), ("c.jpg", None)]


def test_remote_pictures_are_fetched_anew_without_their_etag(shop: Path, server: Server) -> None:
    run(shop)
    make_older(shop, OLD_SHOPS[0])
    server.status = 503
    summary, requests = asked(server, shop)
    assert requests == FRESH and summary.picture_faults == {"picture_server_error": 3}
    assert select(shop, "select count(*) from listings where image_hash like 'old-%'") == [(3,)]
    server.status = 404
    summary, requests = asked(server, shop)
    assert requests == FRESH and summary.picture_faults == {"picture_http_status": 3}
    assert select(shop, "select count(*) from listings where image_hash like 'old-%'") == [(3,)]
    assert asked(server, shop)[1] == []  # until `recheck_days` have passed
    change(shop, "update picture_sources set checked_at = checked_at - interval 8 days")
    server.status = 200
    summary, requests = asked(server, shop)
    assert requests == FRESH and summary.picture_faults == {} and summary.updated == 3
    assert select(shop, "select count(*) from listings where image_hash like 'old-%'") == [(0,)]
    change(shop, "update picture_sources set checked_at = checked_at - interval 8 days")
    summary, requests = asked(server, shop)
    assert requests == [(name, '"tag"') for name, _ in FRESH] and outcome(summary) == (0, 0, 3, 3, 0)


def test_a_server_that_fails_for_a_night_costs_no_picture(shop: Path, server: Server) -> None:
    run(shop)
    before = content(shop)
    change(shop, "update picture_sources set checked_at = checked_at - interval 8 days")
    server.status = 503
    summary = run(shop)
    assert summary.picture_faults == {"picture_server_error": 3} and summary.without_picture == 0
    assert select(shop, "select earlier_picture_kept from unusable_pictures") == [(True,)] * 3
    server.status = 200
    assert run(shop).picture_faults == {}
    assert content(shop) == before


def test_a_broken_picture_is_not_usable_because_the_server_failed_in_between(shop: Path, server: Server) -> None:
    """It answers "unchanged" for the broken one, not for the picture that stands in."""
    run(shop)
    good = (shop / "a.jpg").read_bytes()
    later = "update picture_sources set checked_at = checked_at - interval 8 days, stamp = '\"other\"'"
    for content_of_a, status in ((b"broken", 200), (b"broken", 503), (b"broken", 200)):
        (shop / "a.jpg").write_bytes(content_of_a)
        server.status = status
        change(shop, later)
        later = later.partition(", stamp")[0]
        summary = run(shop)
    assert summary.picture_faults == {"picture_unreadable": 1}
    (shop / "a.jpg").write_bytes(good)


def test_results_of_another_version_size_or_root_are_not_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = pl.DataFrame([("key", "a.jpg", "", None)], schema=PICTURE_WORK, orient="row")
    found = {write_unit(work, unit_folder(tmp_path, root, size)) for root in ("/a", "/b") for size in (64, 256)}
    monkeypatch.setattr(units, "PIXEL_RULES", 1)
    found.add(write_unit(work, unit_folder(tmp_path, "/a", 64)))
    assert len(found) == 5
    assert write_unit(work, unit_folder(tmp_path, "/a", 64)) in found
