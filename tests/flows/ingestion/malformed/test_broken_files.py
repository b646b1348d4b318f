"""A feed that cannot be read as a whole: the error names the file or setting, and the catalogue stays as it was."""

import re
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from flows.ingestion.ingest import ingest
from flows.project.project import Project
from flows.project.settings import load_settings
from schemas.errors import ConfigurationError, UserError
from tests.catalog_io.feeds.malformed.feeds import HEAD
from tests.catalog_io.feeds.malformed.files import FILES, Broken
from tests.catalog_io.feeds.malformed.pictures import JPEG
from tests.catalog_io.feeds.malformed.rows import GOOD
from tests.flows.ingestion.malformed.bad_feed_project import PROJECT, feed_section, filled, tables


class Shop(NamedTuple):
    """A project whose feed `shop` has been ingested, and its catalogue."""

    project: Project
    tables: dict[str, pl.DataFrame]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    (folder / GOOD).write_bytes(JPEG)
    (folder / "feed.csv").write_bytes(HEAD + b"1,Dress,good.jpg\n2,Coat,absent.jpg\n3,,good.jpg\n")
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
