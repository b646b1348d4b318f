"""Chooses the columns of labels by the words in them, and makes the taxonomy for these words."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from catalog_io.feeds.label_pairs import LabelPairs
from flows.cli.init.toml import toml_text
from schemas.attribute import UnknownWords, fold
from schemas.cells.null_words import is_null_label
from schemas.cells.unusable_words import is_unusable_label
from schemas.taxonomy import Taxonomy

_MOST_VALUES, _ENOUGH_ROWS = 60, 20  # of an attribute that is made from a feed's own words
_KNOWN = 0.8  # of the rows: the packaged attribute knows their words
_COVERED = 0.5  # of the rows: a value of an attribute has their word
_LONGEST = 60  # characters of a value
_SOLD_AS = frozenset(
    (
        *("simple", "variable", "variation", "grouped", "external", "virtual", "downloadable", "configurable"),
        *("bundle", "giftcard", "physical", "digital", "product", "sku", "rule", "variant", "parent", "child", "p"),
        "d",
    )
)
_NUMBER = re.compile(r"[\d.,\s/%-]+")
_SEVERAL = re.compile(r"\s*[,;|]\s*")
_LEVEL = re.compile(r"\s*[>»›]\s*")


class Candidate(NamedTuple):
    """A source of labels, how it is called in a note, and its words."""

    source: str | LabelPairs
    shown: str
    words: Counter[str]


class Chosen(NamedTuple):
    """The source of an attribute's labels, and the attribute; None: the packaged one. `unknown_words`: what words of no
    value say."""

    source: str | LabelPairs
    attribute: dict[str, Any] | None
    unknown_words: UnknownWords = "outside"


def choose(attribute: str, candidates: Iterable[Candidate], notes: list[str]) -> Chosen | None:
    """The first candidate whose words can be an attribute's; None where there is none. The notes say why others are
    not taken, and what is doubtful."""
    chosen: Chosen | None = None
    for shown, found in ((candidate.shown, _attribute(attribute, candidate)) for candidate in candidates):
        key = f"labels.{attribute}"
        if chosen:
            if not isinstance(found, str):
                notes.append(f"{key}: {shown} would also fit")
        elif isinstance(found, str):
            notes.append(f"{key}: {shown} is not used, because {found}")
        else:
            chosen, doubts = found
            notes += [f"{key}: {doubt}" for doubt in doubts]
    return chosen


def _attribute(attribute: str, candidate: Candidate) -> tuple[Chosen, list[str]] | str:
    """The choice of a candidate with what is doubtful, or why it cannot be used."""
    spellings = _spellings(candidate.words)
    counts = {word: sum(spelled.values()) for word, spelled in spellings.items()}
    total = sum(counts.values())
    known = Taxonomy.packaged()[attribute]
    if not total:
        return Chosen(candidate.source, None), [f"{candidate.shown} has no words in the first rows"]
    fits = sum(count for word, count in counts.items() if known.value_of(word))
    packaged = {word for value, words in known.values.items() for word in map(fold, (value, *words))}
    if fits > _KNOWN * total:
        return _with_unknown_words(Chosen(candidate.source, None), packaged, counts, [])
    if sum(count for word, count in counts.items() if _NUMBER.fullmatch(word)) > _COVERED * total:
        return "its words are numbers; where they are codes, give the feed a column with their names"
    if sum(count for word, count in counts.items() if set(_SEVERAL.split(word)) <= _SOLD_AS) > _COVERED * total:
        return "its words say how a product is sold"
    values = _values(spellings, counts, total)
    covered = sum(counts[word] for words in values.values() for word in words)
    if len(values) >= 2 and covered >= _COVERED * total:
        doubt = _doubt(attribute, candidate.shown, values, covered, total)
        of_values = {word for value, words in values.items() for word in (value, *words)}
        return _with_unknown_words(Chosen(candidate.source, _made(values, spellings)), of_values, counts, [doubt])
    if fits:
        doubt = f"the packaged values know the words of {fits} of {total} rows in {candidate.shown}"
        doubts = [f"{doubt}; add the other words to taxonomy.yaml"]
        return _with_unknown_words(Chosen(candidate.source, None), packaged, counts, doubts)
    if len(counts) == 1:
        return f"all rows have the word {toml_text(next(iter(candidate.words)))}"
    return f"it has {len(counts):,} different words in {total:,} rows, few of them often, as free text and ids have"


def _with_unknown_words(
    choice: Chosen, known: Collection[str], counts: dict[str, int], doubts: list[str]
) -> tuple[Chosen, list[str]]:
    """The choice with `unknown_words`: `unusable` where most of the other words contain a word of a value, as
    `light red` does, since such a word does not say that the listing has none of the values."""
    others = {word: count for word, count in counts.items() if word not in known}
    contained = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, known)) + r")(?!\w)")
    related = {word: count for word, count in others.items() if contained.search(word)}
    if not others or 2 * sum(related.values()) <= sum(others.values()):
        return choice, doubts
    example = toml_text(max(related, key=lambda word: related[word]))
    doubt = (
        f"unknown_words is unusable in taxonomy.yaml, because most other words contain a word of a value (such as "
        f"{example}); outside would say that such listings have none of the values"
    )
    return choice._replace(unknown_words="unusable"), [*doubts, doubt]


def _spellings(words: Counter[str]) -> dict[str, Counter[str]]:
    """Folded words → their spellings, without words that cannot name a value, and lists of words that stand alone
    elsewhere."""
    spellings: dict[str, Counter[str]] = {}
    for word, count in words.items():
        if (folded := fold(word)) and not is_null_label(word) and not is_unusable_label(folded):
            spellings.setdefault(folded, Counter())[word.strip()] += count
    lists = [word for word in spellings if len(parts := _SEVERAL.split(word)) > 1 and set(parts) <= spellings.keys()]
    for word in lists:
        del spellings[word]
    return spellings


def _values(spellings: dict[str, Counter[str]], counts: dict[str, int], total: int) -> dict[str, list[str]]:
    """Folded values → the folded words that mean them. A path such as Clothing > Dresses means its last part."""
    words_of: dict[str, list[str]] = {}
    for word in counts:
        words_of.setdefault(_LEVEL.split(word)[-1] or word, []).append(word)
    rows = {value: sum(counts[word] for word in words) for value, words in words_of.items()}
    enough = min(_ENOUGH_ROWS, max(2, total // _ENOUGH_ROWS))
    often = sorted((value for value in words_of if rows[value] >= enough), key=lambda value: (-rows[value], value))
    return {value: words_of[value] for value in often[:_MOST_VALUES] if len(value) <= _LONGEST}


def _made(values: dict[str, list[str]], spellings: dict[str, Counter[str]]) -> dict[str, Any]:
    """The attribute in the form of taxonomy.yaml, each value in its commonest spelling."""

    def spelled(word: str) -> str:
        return min(spellings[word].items(), key=lambda item: (-item[1], item[0]))[0]

    made = {}
    for value, words in values.items():
        name = spelled(value) if value in words else _LEVEL.split(spelled(words[0]))[-1]
        made[name] = [spelled(word) for word in words if word != value]
    return {"prompt": "a photo of a {} product", "values": made}


def _doubt(attribute: str, shown: str, values: dict[str, list[str]], covered: int, total: int) -> str:
    has_paths = any([value] != words for value, words in values.items())
    paths = " (of a path such as A > B the last part)" if has_paths else ""
    rest = f"; the words of {total - covered:,} rows are none of these values" if total > covered else ""
    return (
        f"its values in taxonomy.yaml are the {len(values)} commonest words of {shown}{paths}{rest}: remove what is no "
        f"{attribute}, and merge what is the same"
    )


def make_taxonomy(chosen: dict[str, Chosen]) -> Taxonomy:
    """The taxonomy of the chosen attributes, with the packaged color and pattern where the feed has none of its own; a
    feed without labels has the packaged style, too."""
    packaged = Taxonomy.packaged().to_dict()
    attributes = {}
    for name in packaged:
        if name in chosen:
            attribute = chosen[name].attribute or packaged[name]
            attributes[name] = {**attribute, "unknown_words": chosen[name].unknown_words}
        elif name != "style" or not chosen:
            attributes[name] = packaged[name]
    return Taxonomy.from_dict(attributes)
