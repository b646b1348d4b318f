"""The table of exports that are recognised by their columns: what each maps, and what it leaves to the merchant."""

from dataclasses import dataclass, field

from flows.cli.init.names import Header


@dataclass(frozen=True)
class Export:
    """A known export. Columns are named as `names.normalised` makes them; a name with braces is a template."""

    name: str
    marks: tuple[tuple[str, ...], ...]
    """One of each must be among the columns."""
    listing_id: tuple[str, ...]
    title: tuple[str, ...]
    image: tuple[tuple[str, ...], ...] = ()
    """Of each the first that is there; `name#` stands for numbered columns. Empty: the usual names."""
    product_id: tuple[str, ...] = ()
    """All that are there: the first that is not empty is a row's product."""
    labels: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of attributes with other columns than the usual names; empty: none."""
    separator: str | None = None
    """Of several pictures in one cell."""
    null_words: tuple[str, ...] = ()
    picture_file: str = ""
    """The template of a picture's file, where there is no column of pictures."""
    notes: tuple[str, ...] = ()


_NO_STYLE = "labels.style: not guessed; map a column of your own, such as an attribute of your shop"
EXPORTS = (
    Export(  # https://github.com/woocommerce/woocommerce/wiki/Product-CSV-Import-Schema, and its German export
        "WooCommerce product export",
        marks=(
            ("type", "typ"),
            ("sku", "artikelnummer", "ugs"),
            ("name", "nom", "nombre"),
            ("images", "bilder", "imágenes"),
            ("parent", "übergeordnetesprodukt", "attribute1name", "attribut1name", "visibilityincatalog"),
        ),
        listing_id=("id", "sku", "artikelnummer", "ugs"),
        title=("name", "nom", "nombre"),
        image=(("images", "bilder", "imágenes"),),
        product_id=("parent", "übergeordnetesprodukt", "sku", "artikelnummer", "ugs", "id:{id}"),
        labels={"style": ()},
        separator=",",
        notes=(
            "product_id: a variation belongs to its Parent, which names a SKU, or an ID as id:100",
            "labels.style: not guessed: Type says how a product is sold (simple, variable, variation), and Categories "
            "may name several; map an attribute of your shop",
        ),
    ),
    Export(  # Magento 2 / Adobe Commerce: System > Export > Products
        "Magento 2 product export",
        marks=(("sku",), ("storeviewcode", "attributesetcode", "productwebsites"), ("baseimage",), ("name",)),
        listing_id=("sku",),
        title=("name",),
        image=(("baseimage",), ("additionalimages",)),
        labels={"style": ()},
        separator=",",
        null_words=("no_selection",),
        notes=(
            "images: paths such as /w/b/x.jpg begin at Magento's pub/media/catalog/product; set your copy of it",
            "product_id: not mapped: only the rows of configurable products name their variants, in "
            "configurable_variations; each row counts as a product of its own",
            "a row of another store view repeats a sku, and is rejected as listing_id_duplicate: the first row counts",
            f"{_NO_STYLE} (product_type says how a product is sold)",
        ),
    ),
    Export(  # https://help.shopify.com/en/manual/products/import-export/using-csv, with the older headers, too
        "Shopify product export",
        marks=(
            ("handle", "urlhandle"),
            ("title",),
            ("imagesrc", "productimageurl"),
            ("bodyhtml", "vendor", "option1name", "variantsku", "imageposition"),
        ),
        listing_id=("handle", "urlhandle"),
        title=("title",),
        image=(("imagesrc", "productimageurl"),),
        labels={"style": ("type",), "color": ("colorproductmetafields*", "colourproductmetafields*")},
        notes=(
            "a row with a handle and no title continues the product above it: it adds its picture, in the order of "
            "the rows, which is that of Image Position; its labels are not used: a product of several colors has the "
            "color of its first variant",
        ),
    ),
    Export(  # BigCommerce's legacy export (Item Type: Product, SKU, Rule)
        "BigCommerce product export (legacy)",
        marks=(("itemtype",), ("productid",), ("productname", "name"), ("productimagefile1", "productimageurl1")),
        listing_id=("productid",),
        title=("{productname}{producttype:.0}", "productname", "name"),
        image=(("productimageurl#", "productimagefile#"),),
        labels={"style": ()},
        notes=(
            "title: {Product Type:.0} adds no text, but rows of SKUs and rules have no Product Type, so they have no "
            "title and are rejected; without it their option lists would become titles",
            "images: paths in Product Image File begin at the store's folder product_images",
            _NO_STYLE,
        ),
    ),
    Export(  # https://support.bigcommerce.com/articles/en_US/Knowledge/Supported-Product-Fields
        "BigCommerce product export",
        marks=(("item",), ("id",), ("name",), ("options",), ("internalimageurlexport", "imageurlimport")),
        listing_id=("id",),
        title=("name",),
        image=(("internalimageurlexport", "imageurlimport"),),
        labels={"style": ()},
        notes=(
            "image: pictures that are rows of their own do not name their product, and are lost; a legacy template has "
            "columns for all, Product Image URL - 1 and so on",
            "rows of variants and images have no name, and are rejected as title_missing",
            _NO_STYLE,
        ),
    ),
    Export(  # https://github.com/akeneo/pim-docs, import_and_export_data/formats/product.rst
        "Akeneo product export",
        marks=(
            ("sku", "identifier", "code", "uuid"),
            ("family", "familyvariant"),
            ("enabled", "categories", "groups", "parent"),
        ),
        listing_id=("sku", "identifier", "code", "uuid"),
        title=("name", "label", "title", "erpname", "variationname"),
        image=(
            ("imagefilepath", "image"),
            ("variationimagefilepath", "variationimage"),
            ("mainimagefilepath", "mainimage"),
            ("picturefilepath", "picture"),
            ("packshotfilepath", "packshot"),
        ),
        product_id=("parent",),
        labels={"style": ("style", "tshirtstyle", "dressstyle")},
        notes=(
            "images: paths such as files/<sku>/image/x.jpg begin in the folder of the export's archive",
            "label words are the codes of options, such as navy_blue, unless the export was made with labels",
        ),
    ),
    Export(  # https://www.kaggle.com/datasets/paramaggarwal/fashion-product-images-dataset
        "Kaggle's fashion product images (styles.csv)",
        marks=(("id",), ("basecolour",), ("articletype",), ("productdisplayname",)),
        listing_id=("id",),
        title=("productdisplayname",),
        labels={"style": ("articletype",)},
        picture_file="images/{id}.jpg",
    ),
    Export(  # https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations
        "H&M's articles (articles.csv of Kaggle)",
        marks=(("articleid",), ("productcode",), ("prodname",), ("colourgroupname",)),
        listing_id=("articleid",),
        title=("prodname",),
        product_id=("productcode",),
        labels={"style": ("producttypename",)},
        picture_file="images/{articleid:.3}/{articleid}.jpg",
    ),
    Export(  # https://support.google.com/merchants/answer/7052112, in English and in German
        "Google Merchant product feed",
        marks=(
            ("id",),
            ("title", "titel"),
            ("imagelink", "bildlink"),
            (
                "link",
                "price",
                "preis",
                "availability",
                "verfügbarkeit",
                "itemgroupid",
                "googleproductcategory",
                "brand",
            ),
        ),
        listing_id=("id",),
        title=("title", "titel"),
        image=(("imagelink", "bildlink"), ("additionalimagelink", "zusätzlicherbildlink"), ("additionalimagelink#",)),
        product_id=("itemgroupid", "artikelgruppenid"),
        labels={"style": ("producttype", "produkttyp", "googleproductcategory")},
        separator=",",
    ),
)


def recognised(header: Header) -> Export | None:
    """The export that has these columns; None where it is none of the table."""
    return next((export for export in EXPORTS if all(header.has(*names) for names in export.marks)), None)
