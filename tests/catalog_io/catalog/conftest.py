from pathlib import Path

import pytest

from catalog_io.catalog.catalog import Catalog
from tests.catalog_io.staged import TAXONOMY


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    return catalog
