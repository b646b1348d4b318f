"""The listing id and the pictures of a feed that has no columns for them, where something else gives them."""

import re
from dataclasses import replace
from typing import Any

from catalog_io.feeds.read import read_feed
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.columns import Mapping
from flows.cli.init.names import Header
from flows.cli.init.pictures import picture_template
from flows.cli.init.sample import read_sample
from flows.cli.init.toml import toml_text
from schemas.errors import UserError
from schemas.secrets import redacted

_NEEDED = ("listing_id", "title", "image")


def with_needed(
    feed: FeedSettings, mapping: Mapping, names: list[str], folder: str | None, notes: list[str]
) -> FeedSettings:
    """The feed with all needed columns. UserError, with the names of all columns, where one cannot be guessed."""
    columns: dict[str, Any] = dict(mapping.columns)
    if "listing_id" not in columns and {"title", "image"} <= columns.keys():
        columns |= _id_by_picture(replace(feed, columns=columns), notes)
    if "image" not in columns and {"listing_id", "title"} <= columns.keys():
        columns |= _picture_by_id(replace(feed, columns=columns), mapping, folder, notes)
    if missing := [name for name in _NEEDED if name not in columns]:
        hint = ". Each listing needs an id that stays the same from feed to feed" if missing == ["listing_id"] else ""
        if "image" in missing:
            example = f'"images/{{{columns.get("listing_id", "id")}}}.jpg"'
            hint = f". Where picture files have the names of ids, image = {example} makes their paths"
        raise UserError(
            f"{redacted(feed.source)}: cannot tell which column is {' or '.join(missing)}; its columns are "
            f"{', '.join(names)}. Run `cma init` without a feed and fill in [feeds.mine.columns]"
            f"{hint}"
        )
    ordered: dict[str, str | list[str]] = {
        name: columns[name] for name in ("listing_id", "title", "image", "product_id") if name in columns
    }
    return replace(feed, columns=ordered)


def _id_by_picture(feed: FeedSettings, notes: list[str]) -> dict[str, str]:
    """The picture's path or name as the listing id, where each row has one of its own."""
    image = feed.columns["image"]
    first = image if isinstance(image, str) else image[0]
    for name in (f"{first}.path", first):
        try:
            ids = next(iter(read_feed(replace(feed, columns={**feed.columns, "listing_id": name}))))["listing_id"]
        except (UserError, StopIteration):
            continue
        if ids.null_count() == 0 and ids.n_unique() == ids.len():
            notes.append(f"listing_id: the feed has no ids; {toml_text(name)}, the picture's name, is taken for one")
            return {"listing_id": name}
    return {}


def _picture_by_id(feed: FeedSettings, mapping: Mapping, folder: str | None, notes: list[str]) -> dict[str, str]:
    """A template of picture files with the listing id in it: one that fits files, or that of a known data set."""
    listing_id = str(feed.columns["listing_id"])
    if re.search(r"[{}]", listing_id):
        return {}
    ids = read_sample(replace(feed, columns={**feed.columns, "image": f"{{{listing_id}}}"}), {}).ids
    if found := picture_template(folder, listing_id, ids) if folder is not None else None:
        notes.append(f"image: {found.fits} of the first {found.of} listings have a picture file of this name")
        return {"image": found.value}
    known = Header([listing_id]).filled(mapping.export.picture_file) if mapping.export else None
    if not known:
        return {}
    if all(len(listing) == 9 for listing in ids):  # H&M's ids, of which a spreadsheet took the zero before them
        known = known.replace(":.3}", ":.2}").replace("{", "0{")
    notes.append(
        f"image: the feed has no column of pictures; {toml_text(known)} makes the paths of this data set's pictures "
        "from the ids. None was found: put the pictures there, or set `images` to the folder that they are below"
    )
    return {"image": known}
