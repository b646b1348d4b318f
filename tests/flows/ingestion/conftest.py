"""A web server with good and bad answers, for all tests of ingestion."""

from collections.abc import Iterator

import pytest

from tests.catalog_io.feeds.malformed.web import serving


@pytest.fixture(scope="session")
def web() -> Iterator[str]:
    with serving() as address:
        yield address
