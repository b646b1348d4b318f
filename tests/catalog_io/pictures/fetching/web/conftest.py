"""A web server, and an empty picture folder whose rows may name its URLs."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog_io.pictures.fetching.root import PictureRoot
from tests.catalog_io.pictures.fetching.errors import OPEN
from tests.catalog_io.pictures.fetching.web.web_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.fixture
def root(tmp_path: Path) -> Iterator[PictureRoot]:
    with PictureRoot(str(tmp_path), OPEN) as root:
        yield root
