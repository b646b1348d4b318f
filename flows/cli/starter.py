"""`cma init`: a commented project file to start from, guessed from a feed's own columns and label words."""

import json
import os
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import yaml

from catalog_io.feeds.published.layouts import layout_of
from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import ConfigurationError, UserError
from schemas.secrets import redacted
from schemas.taxonomy import Taxonomy

# Usual names, the likeliest first, as `_folded` makes them: of Shopify, Google Merchant, Etsy and public data sets.
_NAMES = {
    "listing_id": (
        *("listingid", "id", "articleid", "itemid", "sku", "handle", "variantsku", "productid", "asin", "offerid"),
        *("itemnumber", "articlenumber", "itemsku", "sellersku", "uniqid"),
    ),
    "title": (
        *("title", "name", "prodname", "productname", "productdisplayname", "producttitle", "itemname", "listingtitle"),
        *("itemtitle", "displayname", "caption", "description"),
    ),
    "product_id": (
        *("productid", "productcode", "itemgroupid", "parentid", "parentsku", "stylecode", "styleid", "groupid"),
        *("modelid", "handle"),
    ),
}
_IMAGES = (
    *("image", "imagelink", "imagesrc", "imageurl", "imagepath", "mainimage", "mainimageurl", "primaryimage", "images"),
    *("imagelinks", "imageurls", "picture", "pictureurl", "pictures", "photo", "photourl", "photos", "img", "imgurl"),
    *("imgsrc", "imagefile", "imagename", "filename", "file", "path", "variantimage", "thumbnail"),
)
_MORE_IMAGES = re.compile(
    r"(?:additional|other|extra|alternate)(?:image|img|picture|photo)s?(?:link|url|src|path)?s?(\d*)"
)
_NUMBERED_IMAGE = re.compile(r"(?:image|img|picture|photo)s?(?:link|url|src|path|file)?(\d{1,2})(?:link|url|src|path)?")
_LABELS = {
    "color": (
        *("color", "colour", "basecolour", "basecolor", "colourgroupname", "colorgroupname", "colorname", "colourname"),
        *("primarycolor", "primarycolour", "maincolor", "colormap", "googleshoppingcolor", "variantcolor"),
    ),
    "pattern": ("pattern", "graphicalappearancename", "patternname", "patterntype", "print", "googleshoppingpattern"),
    "style": (
        *("style", "articletype", "producttypename", "producttype", "type", "category", "subcategory", "usage"),
        *("productcategory", "googleproductcategory", "stylename", "occasion"),
    ),
}
_SEPARATORS = ("|", ";", ",", " ")
_PICTURE_NAME = re.compile(r".+\.(?:jpe?g|png|webp|gif|avif|bmp|tiff?)", re.IGNORECASE)
_SAMPLE_ROWS, _SAMPLE_BYTES = 50_000, 200_000_000  # looked at for label words
_MOST_VALUES, _FEWEST_ROWS = 60, 20

_TEMPLATE = """\
# A cma-tagger project. Every key can also be set by environment: CMA_HOME, CMA_TAG__ENGINE, …
home = "warehouse"            # catalogue, pictures, models and runs live here
{taxonomy}
# A feed: CSV, TSV, JSONL (each also compressed) or Parquet, by path, glob or URI; or a SQLAlchemy URL with a `query`.
# `columns` says what yours calls our columns; `image` may be a list of columns.
{notes}[feeds.mine]
source = {source}
{extra}images = {images}                 # root of relative picture paths; a feed can never read outside it
columns = {{ {columns} }}
labels = {{ {labels} }}      # attribute = your label column; words are mapped by the taxonomy

[ingest]
picture_size = 256            # pixels on the short side of a stored picture

[model]
preset = "small"              # trains from scratch on a CPU; "vit-b-32" is the paper's, from pretrained weights

[tag]
target_precision = 0.90       # accepted tags are right at least this often …
confidence = 0.95             # … and this sure is the certificate
certify = "attribute"         # or "value": each value has a threshold of its own
engine = "auto"               # tensorrt | cuda | openvino | torch (auto: the first of them that may tag here)
dask = ""                     # a scheduler's address; empty: a local cluster
"""


class Guess(NamedTuple):
    """A feed as far as its names and first rows tell; `notes` say what is uncertain, and what it was guessed from."""

    feed: FeedSettings
    words: dict[str, Counter[str]]
    notes: list[str]


def write_starter(folder: Path, source: str | None, query: str | None = None) -> list[Path]:
    """Writes `cma.toml` and `taxonomy.yaml` into `folder`; refuses to overwrite either.

    `source` is what `FeedSettings.source` can be, relative to the working directory. UserError where it cannot be
    read, or where its columns have none of the usual names.
    """
    config, taxonomy_file = folder / "cma.toml", folder / "taxonomy.yaml"
    for path in (config, taxonomy_file):
        if path.exists():
            raise UserError(f"{path} is there already: edit it, or move it away first")
    taxonomy = Taxonomy.packaged()
    if source is not None:
        guess = guess_feed(source, query)
        taxonomy = guess_taxonomy(guess.words, taxonomy)
    elif query is not None:
        raise ConfigurationError("--query needs the database that answers it: cma init <SQLAlchemy URL> --query <SQL>")
    else:
        columns = {"listing_id": "id", "title": "title", "image": "image"}
        labels = {"color": "color", "pattern": "pattern", "style": "style"}
        guess = Guess(FeedSettings("mine", "listings.csv", columns, labels), {}, [])
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(_project_file(folder, guess), encoding="utf-8")
    taxonomy_file.write_text(yaml.safe_dump(taxonomy.to_dict(), sort_keys=False, allow_unicode=True), encoding="utf-8")
    return [config, taxonomy_file]


def guess_feed(source: str, query: str | None = None) -> Guess:
    """Settings with which a feed can be read, and its label words."""
    if layout := layout_of(source):
        raise UserError(
            f"{source}: this is a published data set, whose columns are known: set `layout = {_toml(layout)}` for it, "
            "or begin with the project file in docs/published-data.md"
        )
    unmapped = FeedSettings("mine", source, {}, {}, query=query)
    shape = feed_shape(unmapped)
    columns, labels, notes = guess_columns(shape.columns, source)
    if shape.encoding:
        notes.append(
            f"encoding: the file is not UTF-8; {_toml(shape.encoding)} is guessed from its bytes: look at å, é"
        )
    if shape.delimiter:
        notes.append(f"delimiter: {_toml(shape.delimiter)} parts the first line into most columns")
    feed = replace(unmapped, columns=columns, labels=labels, encoding=shape.encoding, delimiter=shape.delimiter)
    words: dict[str, Counter[str]] = {name: Counter() for name in labels}
    cells: list[str] = []
    rows = size = 0
    for frame in read_feed(feed):
        for name, counter in words.items():
            found = frame[f"label_word_{name}"].drop_nulls()
            counter.update(dict(found.value_counts().iter_rows()))
        cells += frame["pictures"].explode().struct.field("uri").drop_nulls().to_list()
        rows, size = rows + frame.height, size + int(frame.estimated_size())
        if rows >= _SAMPLE_ROWS or size >= _SAMPLE_BYTES:
            break
    if separator := guess_separator(cells):
        notes.append(f"image_separator: {_toml(separator)} stands between what look like several pictures in one cell")
        feed = replace(feed, image_separator=separator)
    return Guess(feed, words, notes)


def guess_columns(names: list[str], source: str) -> tuple[dict[str, str | list[str]], dict[str, str], list[str]]:
    """Columns, labels and notes, by the names of a feed's columns. UserError, with all names, where that fails."""
    by_folded = {_folded(name): name for name in reversed(names)}
    notes = []

    def guessed(ours: str, usual: tuple[str, ...]) -> str | None:
        fitting = [by_folded[name] for name in usual if name in by_folded]
        if len(fitting) > 1:
            others = ", ".join(map(_toml, fitting[1:]))
            notes.append(f"{ours}: {_toml(fitting[0])} has the likeliest name; {others} would fit as well")
        return fitting[0] if fitting else None

    found = {ours: guessed(ours, usual) for ours, usual in _NAMES.items()}
    if found["product_id"] == found["listing_id"]:
        found["product_id"] = None
    columns: dict[str, str | list[str]] = {ours: theirs for ours, theirs in found.items() if theirs}
    if images := _images(names, guessed("image", _IMAGES)):
        columns["image"] = images[0] if len(images) == 1 else images
    if missing := [name for name in ("listing_id", "title", "image") if name not in columns]:
        raise UserError(
            f"{redacted(source)}: cannot tell which column is {' or '.join(missing)}; its columns are "
            f"{', '.join(names)}. Run `cma init` without a feed and fill in [feeds.mine.columns]"
        )
    labels = {ours: theirs for ours, usual in _LABELS.items() if (theirs := guessed(ours, usual))}
    return (
        {name: columns[name] for name in ("listing_id", "title", "image", "product_id") if name in columns},
        labels,
        notes,
    )


def guess_separator(cells: list[str]) -> str | None:
    """What parts several pictures in one cell, where all parts look like pictures."""
    for separator in _SEPARATORS:
        several = [parts for cell in cells if len(parts := [p for p in cell.split(separator) if p.strip()]) > 1]
        if several and all(_are_pictures(parts) for parts in several):
            return separator
    return None


def _are_pictures(parts: list[str]) -> bool:
    """An address with a comma in it is not two pictures."""
    urls = ["://" in part for part in parts]
    return all(urls) or (not any(urls) and all(_PICTURE_NAME.fullmatch(part.strip()) for part in parts))


def _images(names: list[str], main: str | None) -> list[str]:
    """The likeliest column, numbered ones by their numbers, then additional ones."""

    def matching(pattern: re.Pattern[str]) -> list[str]:
        matches = [(match, name) for name in names if (match := pattern.fullmatch(_folded(name)))]
        return [name for _, name in sorted((int(match[1] or 0), name) for match, name in matches)]

    return list(dict.fromkeys([*([main] if main else []), *matching(_NUMBERED_IMAGE), *matching(_MORE_IMAGES)]))


def _folded(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold().removeprefix("g:"))


def guess_taxonomy(words: dict[str, Counter[str]], packaged: Taxonomy) -> Taxonomy:
    """The packaged attribute where it knows most of the feed's words, else one made of its own frequent words."""
    attributes: dict[str, object] = {}
    for name, counts in words.items():
        known = packaged[name]
        if sum(count for word, count in counts.items() if known.value_of(word)) > 0.8 * counts.total():
            attributes[name] = packaged.to_dict()[name]
            continue
        frequent = [word for word, count in counts.most_common(_MOST_VALUES) if count >= _FEWEST_ROWS]
        if len(frequent) >= 2:
            attributes[name] = {
                "prompt": "a photo of a {} product",
                "values": {word: [] for word in frequent},
            }
    return Taxonomy.from_dict(attributes) if attributes else packaged


def _project_file(folder: Path, guess: Guess) -> str:
    feed = guess.feed
    optional = ("query", "encoding", "delimiter", "image_separator")
    notes = list(guess.notes)
    if redacted(feed.source) != feed.source:
        notes.append("source: it holds a password; the variable CMA_FEEDS__MINE__SOURCE can hold it instead")
    return _TEMPLATE.format(
        taxonomy='taxonomy = "taxonomy.yaml"    # attributes, their values, and the words that mean them',
        notes="".join(f"# {note}\n" for note in ["Guessed; please check:", *notes] if notes),
        source=_toml(_from(folder, feed.source)),
        extra="".join(f"{key} = {_toml(value)}\n" for key in optional if (value := getattr(feed, key))),
        images=_toml(_picture_root(_from(folder, feed.source))),
        columns=", ".join(f"{ours} = {_toml(theirs)}" for ours, theirs in feed.columns.items()),
        labels=", ".join(f"{ours} = {_toml(theirs)}" for ours, theirs in feed.labels.items()),
    )


def _from(folder: Path, source: str) -> str:
    """A source of the working directory, for a project file in `folder`."""
    database = re.fullmatch(r"((?:sqlite|duckdb)[+\w]*:///)([^/:].*)", source)
    prefix, path = database.groups() if database else ("", source)
    if os.path.isabs(path) or (not database and re.match(r"[\w+.:-]+://", path)):
        return source
    return prefix + os.path.relpath(path, folder)


def _picture_root(source: str) -> str:
    """The folder that the feed lies in."""
    if re.match(r"(?:https?|s3a?|gc?s)://", source):
        return re.split(r"[*?\[#]", source)[0].rpartition("/")[0]
    if "://" in source:
        return "."
    return os.path.dirname(re.split(r"[*?\[]", source)[0]) or "."


def _toml(value: object) -> str:
    """TOML's strings and lists are JSON's, but it wants no surrogate pairs, and DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
