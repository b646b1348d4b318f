"""Guesses how a feed can be read, from the names of its columns and from its first rows."""

import json
import re
from collections import Counter
from dataclasses import replace
from typing import NamedTuple

from catalog_io.feeds.published.layouts import layout_of
from catalog_io.feeds.read import feed_shape, read_feed
from catalog_io.feeds.settings import FeedSettings
from schemas.errors import UserError
from schemas.secrets import redacted
from schemas.taxonomy import Taxonomy

# Column names of Shopify, Google Merchant, Etsy and public data sets, as `_normalised` makes them, the likeliest first.
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
_SAMPLE_ROWS, _SAMPLE_BYTES = 50_000, 200_000_000  # label words are counted in this part of a feed
_MOST_VALUES, _FEWEST_ROWS = 60, 20  # of an attribute that is made from a feed's own words


class Guess(NamedTuple):
    """How a feed can probably be read."""

    feed: FeedSettings
    words: dict[str, Counter[str]]  # counts of label words, by attribute
    notes: list[str]  # what is uncertain: the name of a setting, and a sentence


def guess_feed(source: str, query: str | None = None) -> Guess:
    """Guesses the settings of a feed; its source is a path, glob, URI, or SQLAlchemy URL with a query. UserError where
    it cannot be read, or where a needed column has none of the usual names."""
    if layout := layout_of(source):
        raise UserError(
            f"{source}: this is a published data set, whose columns are known: set `layout = {toml_text(layout)}` for "
            "it, or start from the project file in docs/published-data.md"
        )
    unmapped = FeedSettings("mine", source, {}, {}, query=query)
    shape = feed_shape(unmapped)
    columns, labels, notes = guess_columns(shape.columns, source)
    if shape.doubt:
        notes.append(f"encoding: {shape.doubt}")
    elif shape.encoding:
        notes.append(f"encoding: the file is not UTF-8; {toml_text(shape.encoding)} is guessed from its bytes")
    if shape.delimiter:
        notes.append(f"delimiter: {toml_text(shape.delimiter)} splits the first line into the most columns")
    if shape.header_line:
        notes.append(f"header_line: line {shape.header_line} looks like the one that names the columns")
    settings = {key: getattr(shape, key) for key in ("encoding", "delimiter", "header_line")}
    feed = replace(unmapped, columns=columns, labels=labels, **settings)
    words: dict[str, Counter[str]] = {name: Counter() for name in labels}
    cells: list[str] = []
    rows = size = 0
    for frame in read_feed(feed):
        for name, counter in words.items():
            counter.update(dict(frame[f"label_word_{name}"].drop_nulls().value_counts().iter_rows()))
        cells += frame["pictures"].explode().struct.field("uri").drop_nulls().to_list()
        rows, size = rows + frame.height, size + int(frame.estimated_size())
        if rows >= _SAMPLE_ROWS or size >= _SAMPLE_BYTES:
            break
    if separator := guess_separator(cells):
        notes.append(f"image_separator: {toml_text(separator)} separates what look like several pictures in one cell")
        feed = replace(feed, image_separator=separator)
    return Guess(feed, words, notes)


def guess_columns(names: list[str], source: str) -> tuple[dict[str, str | list[str]], dict[str, str], list[str]]:
    """Returns columns, labels and notes, guessed from the names of a feed's columns. UserError, with all names, where
    there is no column for the listing id, the title or the picture."""
    by_normalised = {_normalised(name): name for name in reversed(names)}
    notes = []

    def guessed(ours: str, usual: tuple[str, ...]) -> str | None:
        fitting = [by_normalised[name] for name in usual if name in by_normalised]
        if len(fitting) > 1:
            others = ", ".join(map(toml_text, fitting[1:]))
            notes.append(f"{ours}: {toml_text(fitting[0])} has the likeliest name; {others} would also fit")
        return fitting[0] if fitting else None

    found = {ours: guessed(ours, usual) for ours, usual in _NAMES.items()}
    images = _images(names, guessed("image", _IMAGES))
    fields: dict[str, str | list[str] | None] = {
        "listing_id": found["listing_id"],
        "title": found["title"],
        "image": images[0] if len(images) == 1 else images,
        "product_id": found["product_id"] if found["product_id"] != found["listing_id"] else None,
    }
    columns = {ours: theirs for ours, theirs in fields.items() if theirs}
    if missing := [name for name in ("listing_id", "title", "image") if name not in columns]:
        raise UserError(
            f"{redacted(source)}: cannot tell which column is {' or '.join(missing)}; its columns are "
            f"{', '.join(names)}. Run `cma init` without a feed and fill in [feeds.mine.columns]"
        )
    labels = {ours: theirs for ours, usual in _LABELS.items() if (theirs := guessed(ours, usual))}
    return columns, labels, notes


def guess_separator(cells: list[str]) -> str | None:
    """Returns the character that separates several pictures (file names or URLs) in one cell, or None."""
    for separator in _SEPARATORS:
        several = [parts for cell in cells if len(parts := [p for p in cell.split(separator) if p.strip()]) > 1]
        if several and all(_are_pictures(parts) for parts in several):
            return separator
    return None


def _are_pictures(parts: list[str]) -> bool:
    """Whether all parts are URLs, or all are file names of pictures: one URL with a comma in it is not two pictures."""
    urls = ["://" in part for part in parts]
    return all(urls) or (not any(urls) and all(_PICTURE_NAME.fullmatch(part.strip()) for part in parts))


def _images(names: list[str], main: str | None) -> list[str]:
    """Columns with pictures: the main one, then numbered ones in order, then additional ones."""

    def matching(pattern: re.Pattern[str]) -> list[str]:
        matches = [(match, name) for name in names if (match := pattern.fullmatch(_normalised(name)))]
        return [name for _, name in sorted((int(match[1] or 0), name) for match, name in matches)]

    return list(dict.fromkeys([*([main] if main else []), *matching(_NUMBERED_IMAGE), *matching(_MORE_IMAGES)]))


def _normalised(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold().removeprefix("g:"))


def guess_taxonomy(words: dict[str, Counter[str]], packaged: Taxonomy) -> Taxonomy:
    """Returns a taxonomy for a feed's label words. An attribute of the packaged taxonomy is used where it covers most
    of the feed's words; otherwise, the feed's common words become the attribute's values."""
    attributes: dict[str, object] = {}
    for name, counts in words.items():
        known = packaged[name]
        if sum(count for word, count in counts.items() if known.value_of(word)) > 0.8 * counts.total():
            attributes[name] = packaged.to_dict()[name]
            continue
        common = [word for word, count in counts.most_common(_MOST_VALUES) if count >= _FEWEST_ROWS]
        if len(common) >= 2:
            attributes[name] = {"prompt": "a photo of a {} product", "values": dict.fromkeys(common)}
    return Taxonomy.from_dict(attributes) if attributes else packaged


def toml_text(value: object) -> str:
    """Text or a list in TOML: as in JSON, but without surrogate pairs, and with DEL escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
