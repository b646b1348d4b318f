"""Ingests the small inputs of faults that people reported, and compares what is stored with each `expected.md`."""

import json
from pathlib import Path

import polars as pl
import pytest

from schemas.errors import UserError
from tests.flows.ingestion.reported import (
    Outcome,
    at_port,
    copy_case,
    ingested,
    read_with,
    shop_server,
    stored_colours,
)
from tests.places import REPORTED_CASES

pytestmark = [
    pytest.mark.skipif(not REPORTED_CASES.is_dir(), reason="the reported cases are not here"),
    pytest.mark.usefixtures("shared_workers"),
]


def outcome_of(name: str, folder: Path) -> Outcome:
    return ingested(copy_case(name, folder))


@pytest.mark.parametrize("name", ["03-nearly-whole-pictures", "04-first-frame-empty"])
def test_pictures_with_faults_are_stored_in_their_colours(name: str, tmp_path: Path) -> None:
    folder = copy_case(name, tmp_path)
    outcome = ingested(folder)
    assert {fault for faults in outcome.pictures.values() for fault in faults} == {None}, outcome.reasons
    stored, truth = stored_colours(folder), json.loads((folder / "truth.json").read_text("utf-8"))
    assert stored.keys() == truth.keys()
    for picture, colour in truth.items():
        assert max(abs(a - b) for a, b in zip(stored[picture], colour, strict=True)) <= 6, (picture, stored[picture])


def test_magento(tmp_path: Path) -> None:
    outcome = outcome_of("06-magento", tmp_path)
    assert outcome.summary.read == 64
    assert len(outcome.with_picture) == len(outcome.titles) == 63
    assert "Kleid Willow Rot" not in outcome.titles.values()  # the German row is another view of the first product
    assert outcome.rejected == [("WB01-RED", ["listing_id_duplicate"])]


def test_names_that_differ_in_unicode_form_only_are_the_same_file(tmp_path: Path) -> None:
    assert outcome_of("07-nfd-file-names", tmp_path).with_picture == {"1", "2"}


def test_sep_line_of_excel(tmp_path: Path) -> None:
    assert outcome_of("08-excel-sep-line", tmp_path).titles == {"1": "Röd klänning", "2": "Kjol"}


def test_quotes_escaped_by_a_backslash(tmp_path: Path) -> None:
    outcome = outcome_of("09-backslash-quotes", tmp_path)
    assert outcome.titles == {
        "1": 'Red "Fit" dress',
        "2": 'Blue "Slim", long dress',
        "3": "Green dress",
        "4": 'Belt 30"',
        "5": "Black dress",
        "6": '"Grey" dress',
        "7": "White dress",
    }


def test_shopify(tmp_path: Path) -> None:
    folder = copy_case("11-shopify", tmp_path)
    with shop_server(folder / "web") as port:
        at_port(folder, port)
        outcome = ingested(folder)
    assert len(outcome.titles) == 25
    assert set(map(tuple, outcome.pictures.values())) == {(None, None, None)}
    assert outcome.rejected == []


def test_objects_as_pictures(tmp_path: Path) -> None:
    outcome = outcome_of("15-json-image-objects", tmp_path)
    assert outcome.with_picture == outcome.titles.keys(), outcome.reasons
    assert len(outcome.titles) == 8
    assert [len(outcome.pictures[listing]) for listing in ("amazon", "nested")] == [2, 2]


def test_invisible_characters(tmp_path: Path) -> None:
    folder = copy_case("16-invisible-characters", tmp_path)
    outcome = ingested(folder)
    # A8 and A9 have titles of characters that no font shows: U+FFFD, and one for private use.
    assert {"A1", "A2", "A5", "A7"} <= outcome.titles.keys() <= {"A1", "A2", "A5", "A6", "A7", "A8", "A9"}
    assert outcome.titles["A5"] == "Reddish dress"
    assert "\u202e" not in "".join(outcome.titles.values())
    assert outcome.with_picture == outcome.titles.keys()
    codes = dict(outcome.rejected)
    assert codes["A3"] == codes["A4"] == ["title_missing"]
    assert codes[""] == ["listing_id_missing"]
    assert codes["A1"] == codes["A2"] == ["listing_id_duplicate"]

    read_with(folder, "header.csv")
    assert ingested(folder).summary.listings == 1


def test_cells_of_spreadsheets(tmp_path: Path) -> None:
    outcome = outcome_of("18-spreadsheet-cells", tmp_path)
    assert {"00123", "00124", "129", "130", "131", "132"} <= outcome.titles.keys()
    assert outcome.titles.keys() & {"125", "125.0"}
    assert len(outcome.titles) == 7
    assert len(outcome.rejected) == 8
    assert not any("missing" in code for _, codes in outcome.rejected[:3] for code in codes)
    assert outcome.pictures["132"] == []
    # The addresses in formulas and brackets are asked for; nobody answers at .invalid.
    assert {outcome.pictures[listing][0] for listing in ("129", "130", "131")} == {"picture_host_unknown"}


def test_html_in_titles(tmp_path: Path) -> None:
    outcome = outcome_of("23-html-in-titles", tmp_path)
    assert outcome.titles == {
        "1": "Women's Red Dress & Belt",
        "2": "Robe élégante rouge",
        "3": "Red dress long",
        "4": "Tom & Co red dress",
        "5": 'Size 8" red dress',
        "8": "A&B red dress <3",
        "9": "RÃ¶d klÃ¤nning",
        "10": "Women’s red dress",
    }
    assert outcome.rejected == [("6", ["title_missing"]), ("7", ["title_missing"])]


def test_paths_of_other_systems(tmp_path: Path) -> None:
    folder = copy_case("24-paths-of-other-systems", tmp_path)
    outcome = ingested(folder)
    assert {"slash", "backslash", "dot-backslash", "query", "quoted", "dot", "doubled"} <= outcome.with_picture
    assert len(outcome.titles) == 14
    reasons = dict(line.split(": ", 1) for line in outcome.reasons.splitlines())
    assert "drive" in reasons["drive"]
    assert "B.JPG" in reasons.get("case", "B.JPG")


def test_feed_that_its_server_sends_compressed(tmp_path: Path) -> None:
    folder = copy_case("25-web-feed-content-encoding", tmp_path)
    with shop_server(folder / "web") as port:
        at_port(folder, port)
        assert ingested(folder).summary.listings >= 1


@pytest.mark.parametrize("source", ["feed.csv.gz", "plain.csv"])
def test_compression_is_known_by_its_bytes(source: str, tmp_path: Path) -> None:
    folder = copy_case("26-gz-twice", tmp_path)
    read_with(folder, source)
    outcome = ingested(folder)
    assert outcome.titles
    assert outcome.with_picture == outcome.titles.keys()


@pytest.mark.parametrize("source", ["feed.csv", "feed.jsonl"])
def test_pictures_in_base64(source: str, tmp_path: Path) -> None:
    folder = copy_case("27-base64-cells", tmp_path)
    read_with(folder, source)
    assert ingested(folder).with_picture == {"raw", "data", "big"}


@pytest.mark.parametrize(
    ("source", "listings"),
    [("array.jsonl", 2), ("pretty.jsonl", 2), ("cr.csv", 2), ("crcrlf.csv", 2), ("trailing-commas.csv", 1)],
)
def test_files_that_are_not_quite_tables(source: str, listings: int, tmp_path: Path) -> None:
    folder = copy_case("28-not-quite-tables", tmp_path)
    read_with(folder, source)
    assert ingested(folder).summary.listings == listings


def test_lines_before_the_header(tmp_path: Path) -> None:
    folder = copy_case("28-not-quite-tables", tmp_path)
    read_with(folder, "preamble.csv", "header_line = 3\n")
    assert ingested(folder).titles == {"1": "Red dress"}
    (folder / "cma.toml").write_text(
        '[feeds.mine]\nsource = "amazon.txt"\nimages = "."\nheader_line = 3\n'
        'columns = { listing_id = "item_sku", title = "item_name", image = "main_image_url" }\n'
    )
    assert ingested(folder).titles == {"A1": "Red dress"}


def test_class_labels_of_hugging_face(tmp_path: Path) -> None:
    folder = copy_case("21-hf-classlabel", tmp_path)
    assert ingested(folder).summary.listings == pl.read_parquet(folder / "feed.parquet").height


def test_xml_whose_products_lack_a_title_says_what_they_have(tmp_path: Path) -> None:
    folder = copy_case("28-not-quite-tables", tmp_path)
    read_with(folder, "feed.xml")
    with pytest.raises(UserError, match=r"no column 'title', 'image'; the columns are: id\."):
        ingested(folder)
