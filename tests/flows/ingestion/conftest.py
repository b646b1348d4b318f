"""A web server with good and bad answers, for all tests of ingestion."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog_io.feeds.malformed.web import serving
from tests.flows.ingestion.shop import make_shop


@pytest.fixture(scope="session")
def web() -> Iterator[str]:
    with serving() as address:
        yield address


@pytest.fixture
def shop(tmp_path: Path, shared_workers: None) -> Path:
    """A folder with a project over three listings; `C` has two pictures."""
    return make_shop(tmp_path)
