"""Maps the columns of a feed to ours, and finds those that may have labels, by their names."""

import re
from typing import NamedTuple

from flows.cli.init.exports import Export, recognised
from flows.cli.init.names import IMAGE, LABELS, LISTING_ID, PRODUCT_ID, TITLE, Header
from flows.cli.init.toml import toml_text

_MORE_IMAGES = re.compile(
    r"(?:additional|other|extra|alternate)(?:image|img|picture|photo)s?(?:link|url|src|path)?s?(\d*)"
)
_NUMBERED_IMAGE = re.compile(r"(?:image|img|picture|photo)s?(?:link|url|src|path|file)?(\d{1,2})(?:link|url|src|path)?")
_PAIR = r"(?:attributes?|attribut|atributo|attributo|option|property|feature|variation|specification)(\d{1,3})"
_PAIR_NAME = re.compile(_PAIR + r"(?:name|nom|nombre|nome|naam)")
_PAIR_VALUE = re.compile(_PAIR + r"(?:values?|werte?|valeurs?|valore?s?|valori|waarden?)")
_PAIR_CELLS = ("additionalattributes",)


class Mapping(NamedTuple):
    """What the names of the columns say. `columns` lacks what was not found."""

    export: Export | None
    columns: dict[str, str | list[str]]
    labels: dict[str, list[str]]  # attribute → columns that may have its words, the likeliest first
    pairs: list[tuple[str, str]]  # columns of names and of values, with * for their numbers
    pair_cells: list[str]  # columns whose cells are color=Red,size=M
    notes: list[str]


def map_columns(names: list[str]) -> Mapping:
    """The mapping that the names of a feed's columns suggest."""
    header = Header(names)
    export = recognised(header)
    notes: list[str] = []
    found = {
        "listing_id": _one("listing_id", header, export.listing_id if export else LISTING_ID, notes, export),
        "title": _title(header, export, notes),
        "image": _images(header, export, notes),
        "product_id": _products(header, export, notes),
    }
    columns = {ours: theirs for ours, theirs in found.items() if theirs}
    if columns.get("product_id") == columns.get("listing_id"):
        columns.pop("product_id", None)
    taken = {name for theirs in columns.values() for name in ([theirs] if isinstance(theirs, str) else theirs)}
    of_export = export.labels if export else {}
    unusable = {*taken, *header.twice}
    labels = {
        attribute: [name for name in header.find(*of_export.get(attribute, usual)) if name not in unusable]
        for attribute, usual in LABELS.items()
    }
    return Mapping(export, columns, labels, _pairs(header), header.find(*_PAIR_CELLS), notes)


def _one(ours: str, header: Header, usual: tuple[str, ...], notes: list[str], export: Export | None) -> str | None:
    found = header.find(*usual)
    if len(found) > 1 and not export:
        others = ", ".join(map(toml_text, found[1:]))
        notes.append(f"{ours}: {toml_text(found[0])} has the likeliest name; {others} would also fit")
    return found[0] if found else None


def _title(header: Header, export: Export | None, notes: list[str]) -> str | list[str] | None:
    for name in export.title if export else ():
        if "{" in name and (template := header.filled(name)):
            return template
    usual = tuple(name for name in export.title if "{" not in name) if export else TITLE
    first = next((name for name in usual if header.has(name)), None)
    if first is None:
        return None
    languages = header.find(first)
    if len(languages) > 1:
        notes.append(
            f"title: the first of {', '.join(map(toml_text, languages))} that is not empty; remove the languages that "
            "you do not want"
        )
        return languages
    return _one("title", header, usual, notes, export)


def _products(header: Header, export: Export | None, notes: list[str]) -> str | list[str] | None:
    if not export:
        return _one("product_id", header, PRODUCT_ID, notes, export)
    found: list[str] = []
    for name in export.product_id:
        found += [template] if "{" in name and (template := header.filled(name)) else []
        found += header.find(name)[:1] if "{" not in name else []
    return found if len(found) > 1 else next(iter(found), None)


def _images(header: Header, export: Export | None, notes: list[str]) -> str | list[str] | None:
    found: list[str] = []
    for options in export.image if export else ():
        for name in options:
            stem = re.compile(re.escape(name.rstrip("#")) + r"(\d{1,2})")
            columns = header.matching(stem) if name.endswith("#") else header.find(name)
            if columns:
                found += columns
                break
    if not found:
        main = _one("image", header, IMAGE, notes, export)
        found = [*([main] if main else []), *header.matching(_NUMBERED_IMAGE), *header.matching(_MORE_IMAGES)]
    if twice := [name for name in dict.fromkeys(found) if name in header.twice]:
        notes.append(f"image: several columns are called {', '.join(map(toml_text, twice))}; rename them to use them")
    found = [name for name in dict.fromkeys(found) if name not in twice]
    return found if len(found) > 1 else next(iter(found), None)


def _pairs(header: Header) -> list[tuple[str, str]]:
    """Numbered columns of names and values, such as `Attribute * name` and `Attribute * value(s)`."""
    values = [_starred(name) for name in header.matching(_PAIR_VALUE)]
    pairs = {}
    for name in map(_starred, header.matching(_PAIR_NAME)):
        stem = name.partition("*")[0]
        if value := next((value for value in values if value.partition("*")[0] == stem), None):
            pairs[name] = value
    return list(pairs.items())


def _starred(name: str) -> str:
    return re.sub(r"\d+", "*", name, count=1)
