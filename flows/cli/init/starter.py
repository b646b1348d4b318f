"""`cma init`: writes a project to start from, guessed from a feed's columns and label words."""

from pathlib import Path
from typing import NamedTuple

import yaml

from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from catalog_io.pictures.fetching.root import PictureRoot
from flows.cli.init.guess import Guess, guess_feed
from flows.cli.init.project_file import project_file
from flows.project.settings import load_settings
from schemas.errors import ConfigurationError, UserError
from schemas.taxonomy import Taxonomy


class Started(NamedTuple):
    """The files of a new project, and what was guessed."""

    config: Path
    taxonomy: Path
    guess: Guess


def write_starter(folder: Path, source: str | None, query: str | None = None) -> Started:
    """Writes `cma.toml` and `taxonomy.yaml` into `folder`. `source` is a feed to guess from, relative to the working
    directory; None: a project to fill in. UserError where one of the files exists, where the feed cannot be read, and
    where `cma ingest` would refuse the project: then nothing is written."""
    config, taxonomy_file = folder / "cma.toml", folder / "taxonomy.yaml"
    for path in (config, taxonomy_file):
        if path.exists():
            raise UserError(f"{path} already exists: edit it, or move it away first")
    if source is not None:
        guess = guess_feed(source, query)
    elif query is not None:
        raise ConfigurationError("--query needs a database: cma init <SQLAlchemy URL> --query <SQL>")
    else:
        columns = {"listing_id": "id", "title": "title", "image": "image"}
        labels = {"color": "color", "pattern": "pattern", "style": "style"}
        guess = Guess(FeedSettings("mine", "listings.csv", columns, labels), Taxonomy.packaged(), [])
    folder.mkdir(parents=True, exist_ok=True)
    words = yaml.safe_dump(guess.taxonomy.to_dict(), sort_keys=False, allow_unicode=True)
    try:
        config.write_text(project_file(folder, guess), encoding="utf-8")
        taxonomy_file.write_text(words, encoding="utf-8")
        if source is not None:
            _check(config)
    except BaseException:
        config.unlink(missing_ok=True)
        taxonomy_file.unlink(missing_ok=True)
        raise
    return Started(config, taxonomy_file, guess)


def _check(config: Path) -> None:
    """Does what `cma ingest` does before and with a feed's first rows; UserError where it would refuse the project."""
    settings = load_settings(config)
    (feed,) = settings.feeds.values()
    taxonomy = Taxonomy.load(settings.taxonomy) if settings.taxonomy else Taxonomy.packaged()
    if unknown := feed.labels.keys() - set(taxonomy.names):
        raise AssertionError(f"labels without an attribute: {unknown}")
    try:
        with PictureRoot(feed.images, settings.fetch) as root:
            root.check()
        next(read_feed(feed), None)
    except UserError as fault:
        raise UserError(
            f"nothing is written, because `cma ingest` would refuse the project: {fault}. Settings can be given in the "
            """environment, such as CMA_FETCH__ALLOW_PRIVATE='["10.0.0.0/8"]'"""
        ) from fault
