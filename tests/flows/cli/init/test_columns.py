"""Columns are mapped by the names that shops, marketplaces and data sets give them."""

from typing import Any

import pytest

from flows.cli.init.columns import map_columns


@pytest.mark.parametrize(
    ("names", "columns", "labels"),
    [
        (  # Google Merchant, as XML has it
            ["g:id", "g:title", "g:link", "g:image_link", "g:additional_image_link", "g:color", "g:item_group_id"],
            {
                "listing_id": "g:id",
                "title": "g:title",
                "image": ["g:image_link", "g:additional_image_link"],
                "product_id": "g:item_group_id",
            },
            {"color": ["g:color"]},
        ),
        (  # Etsy
            ["TITLE", "DESCRIPTION", "PRICE", "IMAGE10", "IMAGE2", "IMAGE1", "SKU"],
            {"listing_id": "SKU", "title": "TITLE", "image": ["IMAGE1", "IMAGE2", "IMAGE10"]},
            {},
        ),
        (
            ["sku", "item_name", "image_url", "image_1", "image_2", "additional image urls"],
            {
                "listing_id": "sku",
                "title": "item_name",
                "image": ["image_url", "image_1", "image_2", "additional image urls"],
            },
            {},
        ),
        (  # Amazon's flat files
            [
                "item_sku",
                "item_name",
                "main_image_url",
                "other_image_url1",
                "other_image_url2",
                "parent_sku",
                "color_map",
            ],
            {
                "listing_id": "item_sku",
                "title": "item_name",
                "image": ["main_image_url", "other_image_url1", "other_image_url2"],
                "product_id": "parent_sku",
            },
            {"color": ["color_map"]},
        ),
        (  # Hugging Face's fashion-product-images-small
            ["id", "baseColour", "articleType", "usage", "productDisplayName", "image"],
            {"listing_id": "id", "title": "productDisplayName", "image": "image"},
            {"color": ["baseColour"], "style": ["articleType"]},
        ),
        (
            ["Artikelnummer", "Bezeichnung", "Bild", "Farbe", "Muster"],
            {"listing_id": "Artikelnummer", "title": "Bezeichnung", "image": "Bild"},
            {"color": ["Farbe"], "pattern": ["Muster"]},
        ),
        (
            ["id", "name-de_DE", "name-en_US-ecommerce", "name-fr_FR", "image"],
            {"listing_id": "id", "title": ["name-en_US-ecommerce", "name-de_DE", "name-fr_FR"], "image": "image"},
            {},
        ),
        (
            [" ", "", "id", "title {x}", "title", "image", "image *"],
            {"listing_id": "id", "title": "title", "image": "image"},
            {},
        ),
    ],
)
def test_usual_column_names_are_recognised(
    names: list[str], columns: dict[str, Any], labels: dict[str, list[str]]
) -> None:
    mapping = map_columns(names)
    assert mapping.columns == columns
    assert {attribute: found for attribute, found in mapping.labels.items() if found} == labels


def test_a_column_that_stands_twice_has_no_labels() -> None:
    assert map_columns(["id", "title", "image", "color", "color", "colour"]).labels["color"] == ["colour"]


def test_picture_columns_that_stand_twice_are_left_out_with_a_note() -> None:
    mapping = map_columns(["id", "title", "image_link", "additional_image_link", "additional_image_link", "price"])
    assert mapping.columns["image"] == "image_link"
    assert any(note.startswith('image: several columns are called "additional_image_link"') for note in mapping.notes)


def test_pairs_of_names_and_values_are_found_by_their_numbers() -> None:
    names = [
        "id",
        "Attribute 2 name",
        "Attribute 2 value(s)",
        "Attribute 1 name",
        "Attribute 1 value(s)",
        "Option 3 name",
    ]
    assert map_columns(names).pairs == [("Attribute * name", "Attribute * value(s)")]
    assert map_columns(["Attribut 1 Name", "Attribut 1 Wert(e)"]).pairs == [("Attribut * Name", "Attribut * Wert(e)")]
