"""`cma init` recognises exports by their columns, and its projects are ingested as they are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.read import read_feed
from flows.cli.init.starter import Started, write_starter
from flows.project.settings import load_settings
from schemas.taxonomy import Taxonomy
from tests.flows.cli.init import example_exports as examples

WOO_COLOR = LabelPairs(["Color"], name="Attribute * name", value="Attribute * value(s)")


def start(folder: Path, name: str, body: str | bytes) -> Started:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(body.encode() if isinstance(body, str) else body)
    return write_starter(folder, str(folder / name))


def rows(started: Started) -> pl.DataFrame:
    (feed,) = load_settings(started.config).feeds.values()
    return pl.concat(read_feed(feed))


@pytest.mark.parametrize(
    ("name", "body", "export", "columns", "labels"),
    [
        (
            "shopify.csv",
            examples.SHOPIFY,
            "Shopify product export",
            {"listing_id": "Handle", "title": "Title", "image": "Image Src"},
            {"color": LabelPairs(["Color"], name="Option* Name", value="Option* Value"), "style": "Type"},
        ),
        (
            "shopify.csv",
            examples.SHOPIFY_2025,
            "Shopify product export",
            {"listing_id": "URL handle", "title": "Title", "image": "Product image URL"},
            {"color": LabelPairs(["Colour"], name="Option* name", value="Option* value"), "style": "Type"},
        ),
        (
            "woocommerce.csv",
            examples.WOOCOMMERCE,
            "WooCommerce product export",
            {"listing_id": "ID", "title": "Name", "image": "Images", "product_id": ["Parent", "SKU", "id:{ID}"]},
            {"color": WOO_COLOR, "pattern": LabelPairs(["Pattern"], name=WOO_COLOR.name, value=WOO_COLOR.value)},
        ),
        (
            "woocommerce.csv",
            examples.WOOCOMMERCE_GERMAN,
            "WooCommerce product export",
            {
                "listing_id": "ID",
                "title": "Name",
                "image": "Bilder",
                "product_id": ["Übergeordnetes Produkt", "Artikelnummer", "id:{ID}"],
            },
            {},
        ),
        (
            "magento.csv",
            examples.MAGENTO,
            "Magento 2 product export",
            {"listing_id": "sku", "title": "name", "image": ["base_image", "additional_images"]},
            {
                "color": LabelPairs(["color"], pairs="additional_attributes"),
                "pattern": LabelPairs(["pattern"], pairs="additional_attributes"),
            },
        ),
        (
            "google.tsv",
            examples.GOOGLE_TSV,
            "Google Merchant product feed",
            {
                "listing_id": "id",
                "title": "title",
                "image": ["image link", "additional image link"],
                "product_id": "item group id",
            },
            {"color": "color", "pattern": "pattern", "style": "product type"},
        ),
        (
            "google.xml",
            examples.GOOGLE_XML,
            "Google Merchant product feed",
            {
                "listing_id": "id",
                "title": "title",
                "image": ["image_link", "additional_image_link"],
                "product_id": "item_group_id",
            },
            {"color": "color"},
        ),
        (
            "akeneo.csv",
            examples.AKENEO,
            "Akeneo product export",
            {
                "listing_id": "sku",
                "title": ["name-en_US", "name-de_DE"],
                "image": ["image", "variation_image"],
                "product_id": "parent",
            },
            {"color": "main_color"},
        ),
        (
            "bigcommerce.csv",
            examples.BIGCOMMERCE_LEGACY,
            "BigCommerce product export (legacy)",
            {
                "listing_id": "Product ID",
                "title": "{Product Name}{Product Type:.0}",
                "image": ["Product Image URL - 1", "Product Image URL - 2"],
            },
            {},
        ),
        (
            "bigcommerce.csv",
            examples.BIGCOMMERCE,
            "BigCommerce product export",
            {"listing_id": "ID", "title": "Name", "image": "Internal Image URL (Export)"},
            {},
        ),
        (
            "styles.csv",
            examples.KAGGLE,
            "Kaggle's fashion product images (styles.csv)",
            {"listing_id": "id", "title": "productDisplayName", "image": "images/{id}.jpg"},
            {"color": "baseColour", "style": "articleType"},
        ),
        (
            "articles.csv",
            examples.HM,
            "H&M's articles (articles.csv of Kaggle)",
            {
                "listing_id": "article_id",
                "title": "prod_name",
                "product_id": "product_code",
                "image": "images/{article_id:.3}/{article_id}.jpg",
            },
            {"color": "colour_group_name", "pattern": "graphical_appearance_name", "style": "product_type_name"},
        ),
        (
            "train.parquet",
            examples.hugging_face(),
            None,
            {"listing_id": "image.path", "title": "text", "image": "image"},
            {"color": "color"},
        ),
    ],
)
def test_each_export_is_recognised(
    tmp_path: Path, name: str, body: str | bytes, export: str | None, columns: Mapping[str, Any], labels: dict[str, Any]
) -> None:
    started = start(tmp_path, name, body)
    assert started.guess.export == export
    (feed,) = load_settings(started.config).feeds.values()
    assert (dict(feed.columns), dict(feed.labels)) == (columns, labels)
    assert set(labels) <= set(Taxonomy.load(started.taxonomy).names)


def test_shopify_rows_of_one_handle_are_one_listing_with_all_pictures(tmp_path: Path) -> None:
    found = rows(start(tmp_path, "shopify.csv", examples.SHOPIFY)).filter(pl.col("listing_id") == "linen-dress")
    assert [row[0]["uri"].partition("?")[0].rpartition("-")[2] for row in found["pictures"]] == [
        "front.jpg",
        "back.jpg",
        "detail.jpg",
    ]
    assert found["label_word_color"][0] == "Red"


def test_woocommerce_variations_belong_to_their_parents(tmp_path: Path) -> None:
    started = start(tmp_path, "woocommerce.csv", examples.WOOCOMMERCE)
    found = rows(started)
    assert found["product_id"].to_list() == ["TEA", "TEA", "TEA", "id:200", "id:200", "EVE"]
    assert found["label_word_color"].to_list() == [None, "Red", "Navy", None, "Green", "Black"]
    assert found["pictures"].list.len().to_list() == [2, 1, 1, 1, 0, 1]
    assert any("labels.style: not guessed" in note for note in started.guess.notes)
    assert Taxonomy.load(started.taxonomy) == Taxonomy.from_dict(
        {name: Taxonomy.packaged().to_dict()[name] for name in ("color", "pattern")}
    )


def test_magento_pictures_are_found_below_the_media_folder(tmp_path: Path) -> None:
    place = tmp_path / "media" / "catalog" / "product" / "w" / "b"
    place.mkdir(parents=True)
    (place / "wb-red.jpg").write_bytes(examples.picture())
    started = start(tmp_path, "magento.csv", examples.MAGENTO)
    assert load_settings(started.config).feeds["mine"].images == str(tmp_path / "media" / "catalog" / "product")
    assert rows(started)["label_word_color"].to_list() == ["Red", None, "Blue", None]
    assert Taxonomy.load(started.taxonomy)["color"] == Taxonomy.packaged()["color"]


def test_bigcommerce_options_are_no_titles(tmp_path: Path) -> None:
    found = rows(start(tmp_path, "bigcommerce.csv", examples.BIGCOMMERCE_LEGACY))
    assert found["title"].to_list() == ["Tea dress", None, None, "Day dress"]


def test_classes_of_hugging_face_have_their_names(tmp_path: Path) -> None:
    started = start(tmp_path, "train.parquet", examples.hugging_face())
    assert Taxonomy.load(started.taxonomy)["color"].value_names == ("floral green", "navy", "red")
    assert rows(started)["listing_id"].to_list()[:2] == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize(
    ("files", "template"),
    [
        ("images/010/0108775015.jpg", "images/{article_id:.3}/{article_id}.jpg"),
        ("pictures/0108775015.png", "pictures/{article_id}.png"),
    ],
)
def test_pictures_that_are_named_by_ids_are_found(tmp_path: Path, files: str, template: str) -> None:
    (tmp_path / files).parent.mkdir(parents=True)
    (tmp_path / files).touch()
    body = "article_id,prod_name\n0108775015,Strap top\n"
    assert load_settings(start(tmp_path, "mine.csv", body).config).feeds["mine"].columns["image"] == template
    body = examples.HM.replace("\n0", "\n")  # a spreadsheet took the zeros
    folder = tmp_path / "two"
    assert "images/0{article_id:.2}/0{article_id}.jpg" in start(folder, "articles.csv", body).config.read_text()
