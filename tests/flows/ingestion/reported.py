"""Copies a case that people reported, ingests its feeds, and says what the catalogue has of them."""

import gzip
import io
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from flows.ingestion.ingest import FeedSummary, ingest
from flows.project.project import Project
from tests.flows.ingestion.ingested import select
from tests.places import REPORTED_CASES

HOST, PORT = "127.0.0.9", 8765  # where the feeds of the cases say that their pictures are


@dataclass
class Outcome:
    """What an ingest stored. `titles`: by id; `pictures`: by id, the code of each picture's fault or None for a usable
    one; `rejected`: (row, codes) in order; `reasons`: all sentences."""

    summary: FeedSummary
    titles: dict[str, str]
    products: dict[str, str]
    pictures: dict[str, list[str | None]]
    rejected: list[tuple[str, list[str]]]
    reasons: str

    @property
    def with_picture(self) -> set[str]:
        return {listing for listing, codes in self.pictures.items() if None in codes}


def copy_case(name: str, folder: Path) -> Path:
    """A copy of the case that tests may change."""
    return Path(shutil.copytree(REPORTED_CASES / name, folder / name))


def ingested(folder: Path) -> Outcome:
    """Ingests the one feed of the project in the folder."""
    (summary,) = ingest(Project.open(folder / "cma.toml"))
    return Outcome(summary, *_stored(folder))


def _stored(folder: Path) -> tuple[Any, ...]:
    listings = select(folder, "select listing_id, title, product_id from listings where inactive_since is null")
    pictures: dict[str, list[str | None]] = {listing: [] for listing, _, _ in listings}
    faults = []
    for listing, code, reason in select(
        folder, "select listing_id, code, reason from listing_images order by listing_id, position"
    ):
        if listing in pictures:
            pictures[listing].append(code)
            faults.append(f"{listing}: {reason}")
    rejected = select(folder, "select listing_id, codes, reason, row_number from rejections order by row_number")
    reasons = "\n".join([*faults, *(f"{listing or row}: {reason}" for listing, _, reason, row in rejected)])
    return (
        {listing: title for listing, title, _ in listings},
        {listing: product for listing, _, product in listings},
        pictures,
        [(listing or "", codes) for listing, codes, _, _ in rejected],
        reasons,
    )


def stored_colours(folder: Path) -> dict[str, tuple[int, ...]]:
    """The colour in the middle of the stored picture of each listing that has one, by id."""
    project = Project.open(folder / "cma.toml")
    listings = project.catalog.listings().drop_nulls("image_hash")
    jpegs = project.shards.read(dict(listings.select("image_hash", "shard").iter_rows()))
    return {listing: _middle(jpegs[key]) for listing, key in listings.select("listing_id", "image_hash").iter_rows()}


def _middle(jpeg: bytes) -> tuple[int, ...]:
    with Image.open(io.BytesIO(jpeg)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=float)
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    return tuple(round(level) for level in pixels[height:-height, width:-width].mean((0, 1)))


@contextmanager
def shop_server(folder: Path) -> Iterator[int]:
    """Serves the folder; below /ce/ with `Content-Encoding: gzip`, whatever the client accepts."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self) -> None:
            if not self.path.startswith("/ce/"):
                super().do_GET()
                return
            packed = gzip.compress((folder / self.path.removeprefix("/ce/")).read_bytes())
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(len(packed)))
            self.end_headers()
            self.wfile.write(packed)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def at_port(folder: Path, port: int) -> None:
    """Rewrites the addresses of a copied case to a server's real port."""
    for path in [*folder.glob("*.csv"), folder / "cma.toml"]:
        path.write_text(path.read_text("utf-8").replace(f":{PORT}/", f":{port}/"), encoding="utf-8")


def read_with(folder: Path, source: str, more: str = "") -> None:
    """Writes a project that reads another file of the case; `more`: further lines of its feed."""
    columns = '{ listing_id = "id", title = "title", image = "image" }'
    text = f'[feeds.mine]\nsource = "{source}"\nimages = "."\ncolumns = {columns}\n{more}'
    (folder / "cma.toml").write_text(text, encoding="utf-8")
