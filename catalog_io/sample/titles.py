"""Words of the sample catalogue: titles as sellers write them, and the merchant's own label words."""

from collections.abc import Mapping

import numpy as np

from schemas.attribute import Attribute
from schemas.taxonomy import Taxonomy

# How often a title names the attribute, as in the paper's data.
NAMING_RATES: dict[str, float] = {"color": 0.67, "pattern": 0.25, "style": 0.15}


def _choices(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


# None of these may name a colour, a pattern or a style, since `make_title` returns what its title names.
BRANDS = _choices(
    "Marlowe & Finch|Velora|Brightwater|Nord & Daughter|Casa Lume|Tilda May|Hartwell|Juno Lane|Ostara|"
    "Kestrel|Maison Ravel|Pemberley|Sol y Mar|Wren Studio|Adira|Lowell & Co|Fable"
)
WEARERS = _choices("Women's|Womens|Ladies|Women|Ladies'")
OCCASIONS = _choices(
    "Party|Summer|Evening|Casual|Office|Cocktail|Wedding Guest|Holiday|Beach|Elegant|Vintage Inspired|"
    "Everyday|Festival|Prom|Boho|Classic|Garden Party|Date Night"
)
MATERIALS = _choices(
    "Cotton|Linen|Viscose|Chiffon|Jersey|Satin|Crepe|Organic Cotton|Tencel|Poplin|Silk Blend|"
    "Stretch Cotton|Recycled Polyester"
)
EXTRAS = _choices(
    "Size S|Size M|Size L|Size XL|UK 8|UK 10|UK 12|UK 14|EU 38|EU 40|with Pockets|New Season|"
    "Machine Washable|Petite|Plus Size|Lined|BNWT|Limited Edition|Free Returns"
)
# Label words that cannot name one value, as feeds have them.
UNUSABLE_WORDS: dict[str, tuple[str, ...]] = {
    "color": ("Assorted", "Mixed Colours", "See Picture"),
    "pattern": ("Various", "As Pictured"),
    "style": ("Assorted", "See Description"),
}
_MAIN_WORD_SHARE = 0.65
_EMPTY_LABEL_SHARE = 0.08
_UNUSABLE_LABEL_SHARE = 0.008


def word_for(rng: np.random.Generator, attribute: Attribute, value: str) -> str:
    """The value's name, or sometimes one of its synonyms, in title case."""
    synonyms = [word for word in attribute.values[value] if word != value]
    if not synonyms or rng.random() < _MAIN_WORD_SHARE:
        return value.title()
    return synonyms[rng.integers(len(synonyms))].title()


def make_title(
    rng: np.random.Generator, taxonomy: Taxonomy, values: Mapping[str, str], brand: str
) -> tuple[str, tuple[str, ...]]:
    """A seller's title for a dress with these values, and the attributes that it names."""
    words = {
        name: word_for(rng, taxonomy[name], value)
        for name, value in values.items()
        if rng.random() < NAMING_RATES[name]
    }
    front = [words[name] for name in ("color", "pattern") if name in words]
    if rng.random() < 0.3:
        front.reverse()
    tail = [_one_of(rng, EXTRAS)] if rng.random() < 0.5 else []
    if front and rng.random() < 0.25:  # "… Dress in Navy Blue", "… Dress - Floral"
        last = front.pop()
        tail.insert(0, f"in {last}" if last == words.get("color") else f"- {last}")
    if rng.random() < 0.3:
        tail.append(_one_of(rng, MATERIALS))
    opening = [
        *([brand] if rng.random() < 0.6 else []),
        *([_one_of(rng, WEARERS)] if rng.random() < 0.55 else []),
        *([_one_of(rng, OCCASIONS)] if rng.random() < 0.5 else []),
    ]
    style = [words["style"]] if "style" in words else []
    dress = [*front, *style, "Dress"]
    body = [*dress, *tail, *opening] if rng.random() < 0.15 else [*opening, *dress, *tail]
    title = " ".join(body)
    return (title.lower() if rng.random() < 0.12 else title), tuple(words)


def make_labels(rng: np.random.Generator, taxonomy: Taxonomy, values: Mapping[str, str]) -> dict[str, str]:
    """The merchant's cell for each attribute: a word for the value, sometimes "", rarely an unusable word."""
    labels = {}
    for name, value in values.items():
        luck = rng.random()
        if luck < _EMPTY_LABEL_SHARE:
            labels[name] = ""
        elif luck < _EMPTY_LABEL_SHARE + _UNUSABLE_LABEL_SHARE:
            labels[name] = _one_of(rng, UNUSABLE_WORDS[name])
        else:
            labels[name] = word_for(rng, taxonomy[name], value)
    return labels


def _one_of(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[rng.integers(len(choices))]
