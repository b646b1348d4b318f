"""The text of a new project's cma.toml."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.guess import Guess
from flows.cli.init.toml import toml_text
from flows.project.settings import Settings
from schemas.secrets import redacted

_TEMPLATE = """\
# A cma-tagger project. Each key can also be set in the environment: CMA_HOME, CMA_TAG__ENGINE and so on.
{project}

# A feed is CSV, TSV, JSON lines, XML (each also compressed) or Parquet, by path, glob or URI; or a database, by
# SQLAlchemy URL and `query`. `columns` maps our names to your columns; `image` may be a list of columns.
{notes}[feeds.mine]
source = {source}
{extra}images = {images}                 # root of relative picture paths; rows cannot name files outside it
columns = {columns}
labels = {labels}      # attribute = your label column; the taxonomy maps its words to values

{sections}
"""
# The settings that a new project shows, each with its description as a comment, and the values that are no defaults.
_SECTIONS = {
    "ingest": ("picture_size",),
    "model": ("preset",),
    "tag": ("target_precision", "confidence", "certify", "engine", "dask"),
}
_VALUES = {"home": "warehouse", "taxonomy": "taxonomy.yaml", "preset": "lite"}
_ELSEWHERE = ("name", "source", "columns", "labels", "images")  # in the template


def project_file(folder: Path, guess: Guess) -> str:
    """The text of cma.toml in `folder`. Paths are written relative to it instead of the working directory."""
    feed = guess.feed
    notes = list(guess.notes)
    if redacted(feed.source) != feed.source:
        notes.append("source: it may hold a password; you can put it into the variable CMA_FEEDS__MINE__SOURCE instead")
    if guess.export:
        notes.insert(0, f"The columns are those of: {guess.export}.")
    source = _relative_to(folder, feed.source)
    return _TEMPLATE.format(
        project="\n".join(_settings(Settings, ("home", "taxonomy"))),
        notes="".join(f"# {note}\n" for note in ["Guessed. Please check:", *notes] if notes),
        source=toml_text(source),
        extra="".join(f"{key} = {toml_text(value)}\n" for key, value in _extra(feed)),
        images=toml_text(_relative_to(folder, feed.images) if feed.images else _picture_root(source)),
        columns=toml_text(feed.columns),
        labels=toml_text({name: _label(label) for name, label in feed.labels.items()}),
        sections="\n\n".join(
            "\n".join([f"[{name}]", *_settings(type(Settings.model_fields[name].default), keys)])
            for name, keys in _SECTIONS.items()
        ),
    )


def _extra(feed: FeedSettings) -> Iterator[tuple[str, object]]:
    """The settings of the feed that are not in every project."""
    for field in fields(feed):
        default = field.default.default if isinstance(field.default, FieldInfo) else field.default
        value = getattr(feed, field.name)
        if field.name not in _ELSEWHERE and value not in (default, None, MISSING):
            yield field.name, value


def _label(label: str | LabelPairs) -> object:
    if isinstance(label, str):
        return label
    parts = {"name": label.name, "value": label.value, "pairs": label.pairs, "called": label.called}
    return {key: value for key, value in parts.items() if value}


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
    """Where the relative picture paths of a feed that is not a local file probably start."""
    if re.match(r"(?:https?|s3a?|gc?s)://", source):
        return re.split(r"[*?\[#]", source)[0].rpartition("/")[0]
    return "."
