"""`cma init`: writes a project to start from, guessed from a feed's columns and label words."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel

from catalog_io.feeds.settings import FeedSettings
from flows.cli.guess import Guess, guess_feed, guess_taxonomy, toml_text
from flows.project.settings import Settings
from schemas.errors import ConfigurationError, UserError
from schemas.secrets import redacted
from schemas.taxonomy import Taxonomy

_TEMPLATE = """\
# A cma-tagger project. Each key can also be set in the environment: CMA_HOME, CMA_TAG__ENGINE and so on.
{project}

# A feed is CSV, TSV, JSON lines (each also compressed) or Parquet, by path, glob or URI; or a database, by SQLAlchemy
# URL and `query`. `columns` maps our names to your columns; `image` may be a list of columns.
{notes}[feeds.mine]
source = {source}
{extra}images = {images}                 # root of relative picture paths; rows cannot name files outside it
columns = {{ {columns} }}
labels = {{ {labels} }}      # attribute = your label column; the taxonomy maps its words to values

{sections}
"""
# The settings that a new project shows, each with its description as a comment, and the values that are no defaults.
_SECTIONS = {
    "ingest": ("picture_size",),
    "model": ("preset",),
    "tag": ("target_precision", "confidence", "certify", "engine", "dask"),
}
_VALUES = {"home": "warehouse", "taxonomy": "taxonomy.yaml", "preset": "small"}


def write_starter(folder: Path, source: str | None, query: str | None = None) -> list[Path]:
    """Writes `cma.toml` and `taxonomy.yaml` into `folder` and returns their paths. `source` is a feed to guess from,
    relative to the working directory; None: a project to fill in. UserError where one of the files exists, the feed
    cannot be read, or its columns have none of the usual names."""
    config, taxonomy_file = folder / "cma.toml", folder / "taxonomy.yaml"
    for path in (config, taxonomy_file):
        if path.exists():
            raise UserError(f"{path} already exists: edit it, or move it away first")
    taxonomy = Taxonomy.packaged()
    if source is not None:
        guess = guess_feed(source, query)
        taxonomy = guess_taxonomy(guess.words, taxonomy)
    elif query is not None:
        raise ConfigurationError("--query needs a database: cma init <SQLAlchemy URL> --query <SQL>")
    else:
        columns = {"listing_id": "id", "title": "title", "image": "image"}
        labels = {"color": "color", "pattern": "pattern", "style": "style"}
        guess = Guess(FeedSettings("mine", "listings.csv", columns, labels), {}, [])
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(_project_file(folder, guess), encoding="utf-8")
    taxonomy_file.write_text(yaml.safe_dump(taxonomy.to_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return [config, taxonomy_file]


def _project_file(folder: Path, guess: Guess) -> str:
    feed = guess.feed
    optional = ("query", "encoding", "delimiter", "header_line", "image_separator")
    notes = list(guess.notes)
    if redacted(feed.source) != feed.source:
        notes.append("source: it contains a password; you can put it into the variable CMA_FEEDS__MINE__SOURCE instead")
    return _TEMPLATE.format(
        project="\n".join(_settings(Settings, ("home", "taxonomy"))),
        notes="".join(f"# {note}\n" for note in ["Guessed. Please check:", *notes] if notes),
        source=toml_text(_relative_to(folder, feed.source)),
        extra="".join(f"{key} = {toml_text(value)}\n" for key in optional if (value := getattr(feed, key))),
        images=toml_text(_picture_root(_relative_to(folder, feed.source))),
        columns=", ".join(f"{ours} = {toml_text(theirs)}" for ours, theirs in feed.columns.items()),
        labels=", ".join(f"{ours} = {toml_text(theirs)}" for ours, theirs in feed.labels.items()),
        sections="\n\n".join(
            "\n".join([f"[{name}]", *_settings(type(Settings.model_fields[name].default), keys)])
            for name, keys in _SECTIONS.items()
        ),
    )


def _settings(section: type[BaseModel], keys: Iterable[str]) -> Iterator[str]:
    for key in keys:
        field = section.model_fields[key]
        yield f"{f'{key} = {toml_text(_VALUES.get(key, field.default))}':29} # {field.description}"


def _relative_to(folder: Path, source: str) -> str:
    """The source, written relative to `folder` instead of the working directory; URIs and absolute paths unchanged."""
    database = re.fullmatch(r"((?:sqlite|duckdb)[+\w]*:///)([^/:].*)", source)
    prefix, path = database.groups() if database else ("", source)
    if os.path.isabs(path) or (not database and re.match(r"[\w+.:-]+://", path)):
        return source
    return prefix + os.path.relpath(path, folder)


def _picture_root(source: str) -> str:
    """The folder that the feed is in, where its relative picture paths probably start."""
    if re.match(r"(?:https?|s3a?|gc?s)://", source):
        return re.split(r"[*?\[#]", source)[0].rpartition("/")[0]
    if "://" in source:
        return "."
    return os.path.dirname(re.split(r"[*?\[]", source)[0]) or "."
