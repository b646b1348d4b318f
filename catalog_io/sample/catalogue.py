"""Generates a sample catalogue: rendered dresses, sellers' titles, planted faults, and the ground truth.

`plan_sample` plans every listing without drawing it; `make_sample` draws the pictures and writes the
files. Both depend on the seed alone.
"""

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from catalog_io.sample.studio import photograph
from catalog_io.sample.titles import BRANDS, make_labels, make_title, word_for
from schemas.errors import UserError
from schemas.files import replacing
from schemas.taxonomy import Taxonomy

FAULTS = ("wrong_picture", "unrelated_title", "wrong_label", "broken_file")
FAULT_SHARE = 0.03  # of the listings, for each fault
BREAKAGES = ("empty", "truncated", "html", "missing", "one_pixel", "garbage")
_VERSION = 2  # raise it when the pictures or titles of a seed change
_FLATNESS = {"color": 5, "pattern": 9, "style": 12}  # the higher, the more even the frequencies of the values


@dataclass(frozen=True)
class SampleCatalogue:
    """The files of a sample catalogue."""

    folder: Path
    feed: Path  # listing_id, product_id, title, image (relative to `folder`), color, pattern, style
    ground_truth: Path  # listing_id, color, pattern, style, fault ("" where none), detail


@dataclass(frozen=True)
class SampleListing:
    """One planned listing."""

    listing_id: str
    product_id: str
    brand: str
    values: dict[str, str]  # attribute -> the true value
    pictured: dict[str, str]  # what the picture shows: `values`, unless the picture is wrong
    title: str
    named: tuple[str, ...]  # attributes that the title names
    labels: dict[str, str]  # attribute -> the merchant's word, "" where none
    fault: str = ""
    detail: str = ""

    @property
    def image(self) -> str:
        return f"images/{self.listing_id}.jpg"


def make_sample(
    folder: Path, *, listings: int = 3000, seed: int = 7, progress: Callable[[int], None] = lambda more: None
) -> SampleCatalogue:
    """Writes the catalogue of a seed into the folder, unless it is there; calls `progress(1)` after each picture.

    An incomplete catalogue, or one of other settings, is made again. UserError where the folder holds a catalogue
    that is not a sample.
    """
    made = SampleCatalogue(folder, folder / "listings.csv", folder / "ground_truth.csv")
    settings = json.dumps({"listings": listings, "seed": seed, "version": _VERSION}) + "\n"
    settings_file, images = folder / "cma-sample.json", folder / "images"
    if settings_file.exists():
        if made.ground_truth.exists() and settings_file.read_text() == settings:
            return made
        made.ground_truth.unlink(missing_ok=True)
        shutil.rmtree(images, ignore_errors=True)
    elif any(path.exists() for path in (images, made.feed, made.ground_truth)):
        raise UserError(f"{folder} holds a catalogue that is not a sample; name another folder for the sample")
    images.mkdir(parents=True)
    settings_file.write_text(settings)

    planned = plan_sample(listings, seed)
    for index, listing in enumerate(planned):
        data = photograph(np.random.default_rng([seed, index]), **listing.pictured)
        found = break_picture(data, listing.detail) if listing.fault == "broken_file" else data
        if found is not None:
            (folder / listing.image).write_bytes(found)
        progress(1)
    attributes = list(Taxonomy.packaged().names)
    feed_rows = ([x.listing_id, x.product_id, x.title, x.image, *x.labels.values()] for x in planned)
    _write_csv(made.feed, ["listing_id", "product_id", "title", "image", *attributes], feed_rows)
    truth_rows = ([x.listing_id, *x.values.values(), x.fault, x.detail] for x in planned)
    # Written last, because it marks a complete catalogue.
    _write_csv(made.ground_truth, ["listing_id", *attributes, "fault", "detail"], truth_rows)
    return made


def plan_sample(listings: int, seed: int) -> list[SampleListing]:
    """The listings of a seed, without their pictures."""
    rng = np.random.default_rng(seed)
    taxonomy = Taxonomy.packaged()
    planned: list[SampleListing] = []
    product = 0
    while len(planned) < listings:
        product += 1
        brand = BRANDS[rng.integers(len(BRANDS))]
        pattern, style = (_pick(rng, taxonomy, name, 1)[0] for name in ("pattern", "style"))
        sisters = int(rng.choice([1, 2, 3], p=[0.45, 0.3, 0.25]))
        for color in _pick(rng, taxonomy, "color", sisters)[: listings - len(planned)]:
            values = {"color": color, "pattern": pattern, "style": style}
            title, named = make_title(rng, taxonomy, values, brand)
            labels = make_labels(rng, taxonomy, values)
            listing_id, product_id = f"L{len(planned) + 1:05d}", f"P{product:05d}"
            planned.append(SampleListing(listing_id, product_id, brand, values, values, title, named, labels))
    _plant_faults(rng, taxonomy, planned)
    return planned


def _pick(rng: np.random.Generator, taxonomy: Taxonomy, name: str, count: int) -> list[str]:
    """Different values of the attribute; earlier ones of the taxonomy are more frequent."""
    values = taxonomy[name].value_names
    weights = 1 / (np.arange(len(values)) + _FLATNESS[name])
    return [values[i] for i in rng.choice(len(values), count, replace=False, p=weights / weights.sum())]


def _plant_faults(rng: np.random.Generator, taxonomy: Taxonomy, planned: list[SampleListing]) -> None:
    each = round(FAULT_SHARE * len(planned))
    chosen = [int(index) for index in rng.permutation(len(planned))[: each * len(FAULTS)]]
    for turn, index in enumerate(chosen):
        listing, fault = planned[index], FAULTS[turn % len(FAULTS)]
        if fault == "wrong_picture":
            pictured = _stranger(rng, planned, listing, differing=2).values
            found = replace(listing, pictured=pictured, detail="shows " + " / ".join(pictured.values()))
        elif fault == "unrelated_title":
            found = _with_strange_title(rng, taxonomy, planned, listing)
        elif fault == "wrong_label":
            found = _with_wrong_label(rng, taxonomy, listing)
        else:
            found = replace(listing, detail=BREAKAGES[turn // len(FAULTS) % len(BREAKAGES)])
        planned[index] = replace(found, fault=fault)


def _stranger(
    rng: np.random.Generator, planned: Sequence[SampleListing], listing: SampleListing, *, differing: int
) -> SampleListing:
    """A random listing that differs in at least `differing` attributes."""
    others = (planned[int(index)] for index in rng.permutation(len(planned)))
    return next(x for x in others if sum(x.values[a] != v for a, v in listing.values.items()) >= differing)


def _with_strange_title(
    rng: np.random.Generator, taxonomy: Taxonomy, planned: Sequence[SampleListing], listing: SampleListing
) -> SampleListing:
    """The listing with the title of a dress that differs in every attribute; the title names at least one of them."""
    stranger = _stranger(rng, planned, listing, differing=len(listing.values))
    named: tuple[str, ...] = ()
    while not named:
        title, named = make_title(rng, taxonomy, stranger.values, stranger.brand)
    return replace(listing, title=title, named=named, detail="names " + ", ".join(stranger.values[a] for a in named))


def _with_wrong_label(rng: np.random.Generator, taxonomy: Taxonomy, listing: SampleListing) -> SampleListing:
    name = taxonomy.names[rng.integers(len(taxonomy.names))]
    wrong = rng.choice([value for value in taxonomy[name].value_names if value != listing.values[name]])
    return replace(listing, labels={**listing.labels, name: word_for(rng, taxonomy[name], str(wrong))}, detail=name)


def break_picture(data: bytes, breakage: str) -> bytes | None:
    """The content of a picture file that is broken in this way (one of BREAKAGES); None where there is no file."""
    if breakage == "missing":
        return None
    if breakage == "truncated":
        return data[: len(data) // 2]
    if breakage == "html":
        return b"<!DOCTYPE html><html><head><title>404</title></head><body>Not found</body></html>\n"
    if breakage == "garbage":
        return data[::-1]
    if breakage == "one_pixel":
        file = io.BytesIO()
        Image.new("RGB", (1, 1), "white").save(file, "JPEG")
        return file.getvalue()
    return b""


def _write_csv(path: Path, header: list[str], rows: Iterable[list[str]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
