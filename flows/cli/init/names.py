"""The names that people give to the columns of a feed, and finding columns by them."""

import re
from collections.abc import Iterable

# As `normalised` makes them, the likeliest first: those of shops, marketplaces, Google Merchant and public data sets.
LISTING_ID = (
    *("listingid", "id", "articleid", "itemid", "sku", "handle", "variantsku", "productid", "asin", "parentasin"),
    *("offerid", "itemnumber", "articlenumber", "itemsku", "sellersku", "uniqid", "identifier", "uuid", "pid"),
    *("artikelnummer", "artikelnr", "referenz", "référence", "reference", "ugs", "codearticle", "artnr", "idproduct"),
)
TITLE = (
    *("title", "name", "prodname", "productname", "productdisplayname", "producttitle", "itemname", "listingtitle"),
    *("itemtitle", "displayname", "titel", "bezeichnung", "artikelbezeichnung", "produktname", "titre", "nom"),
    *("nombre", "titulo", "título", "titolo", "nome", "naam", "caption", "text", "description"),
)
PRODUCT_ID = (
    *("productid", "productcode", "itemgroupid", "parentid", "parentsku", "stylecode", "styleid", "groupid"),
    *("modelid", "parentasin", "artikelgruppenid", "parent", "handle"),
)
IMAGE = (
    *("image", "imagelink", "imagesrc", "imageurl", "imagepath", "mainimage", "mainimageurl", "primaryimage", "images"),
    *("imagelinks", "imageurls", "picture", "pictureurl", "pictures", "photo", "photourl", "photos", "img", "imgurl"),
    *("productimage", "productimageurl", "productimages", "productimageurls", "coverimage", "urlimage"),
    *("imgsrc", "imurl", "imagefile", "imagename", "bildlink", "bild", "bilder", "bildurl", "lienimage", "imagen"),
    *("imágenes", "immagine", "afbeelding", "afbeeldingen", "filename", "file", "path", "variantimage", "thumbnail"),
)
LABELS = {
    "color": (
        *("color", "colour", "basecolour", "basecolor", "colourgroupname", "colorgroupname", "colorname", "colourname"),
        *("primarycolor", "primarycolour", "maincolor", "maincolour", "colormap", "colorfamily", "colourfamily"),
        *("colorproductmetafields*", "colourproductmetafields*", "googleshoppingcolor", "variantcolor", "colors"),
        *("colours", "farbe", "grundfarbe", "couleur", "colore", "kleur", "färg", "kolor", "barva", "цвет", "色"),
    ),
    "pattern": (
        *("pattern", "graphicalappearancename", "patternname", "patterntype", "print", "patternproductmetafields*"),
        *("googleshoppingpattern", "muster", "motif", "motivo", "estampado", "mönster", "patroon"),
    ),
    "style": (
        *("style", "articletype", "producttypename", "producttype", "type", "category", "subcategory", "usage"),
        *("productcategory", "googleproductcategory", "stylename", "occasion", "produkttyp", "stil", "label"),
    ),
}
# What shops call these attributes where names and values stand in pairs of columns, or in one cell.
ATTRIBUTE_NAMES = {
    "color": {*LABELS["color"], "pacolor", "pacolour", "pafarbe", "pacouleur", "cor"},
    "pattern": {*LABELS["pattern"], "papattern", "pamuster", "pamotif"},
    "style": {"style", "stil", "stile", "estilo", "dressstyle", "pastyle", "silhouette"},
}
_LANGUAGE = r"(?:en|de|fr|es|it|nl|pl|sv|da|fi|nb|no|pt|cs|ru|tr|ja|zh)"
_LOCALISED = re.compile(rf"(.+?)[-_. (\[]+({_LANGUAGE})(?:[-_][a-z]{{2}})?(?:[-)\]].*)?", re.IGNORECASE)


def normalised(name: str) -> str:
    """The name in small letters, without spaces and marks, and without Google's prefix `g:`."""
    return re.sub(r"[\W_]+", "", name.casefold().removeprefix("g:"))


class Header:
    """The names of a feed's columns, to be found by what people call them.

    Names with braces or stars are left out, for these have a meaning in `columns`. `twice` has those that stand twice.
    """

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self.names = [name for name in names if name.strip() and not re.search(r"[{}*]", name)]
        self.twice = {name for name in self.names if names.count(name) > 1}
        self._by_name: dict[str, list[str]] = {}
        self._localised: dict[str, list[tuple[bool, str]]] = {}
        for name in dict.fromkeys(self.names):
            self._by_name.setdefault(normalised(name), []).append(name)
            if found := _LOCALISED.fullmatch(name):
                self._localised.setdefault(normalised(found[1]), []).append((found[2].casefold() != "en", name))

    def find(self, *usual: str) -> list[str]:
        """All columns with one of these normalised names, the likeliest first. `name*` finds what begins so, and
        `name` also `name-en_US`, English first."""
        found: list[str] = []
        for name in usual:
            if name.endswith("*"):
                found += [c for key, columns in self._by_name.items() if key.startswith(name[:-1]) for c in columns]
            else:
                localised = sorted(self._localised.get(name, []), key=lambda column: column[0])
                found += [*self._by_name.get(name, []), *(column for _, column in localised)]
        return list(dict.fromkeys(found))

    def has(self, *usual: str) -> bool:
        """Whether a column has one of these names."""
        return bool(self.find(*usual))

    def matching(self, pattern: re.Pattern[str]) -> list[str]:
        """The columns whose normalised names match, in the order of the number in the pattern's first group."""
        matches = [(match, name) for name in self.names if (match := pattern.fullmatch(normalised(name)))]
        return [name for _, name in sorted((int(match[1] or 0), name) for match, name in matches)]

    def filled(self, template: str) -> str | None:
        """The template with the feed's own names instead of `{normalised}` ones; None where one is missing."""
        names = re.findall(r"\{(\w+)", template)
        if not all(self.has(name) for name in names):
            return None
        return re.sub(r"\{(\w+)", lambda found: "{" + self.find(found[1])[0], template)
