"""Labels that a feed keeps as pairs of a name and a value: finds what the merchant calls each attribute."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from catalog_io.feeds.label_pairs import LabelPairs
from catalog_io.feeds.settings import FeedSettings
from flows.cli.init.columns import Mapping
from flows.cli.init.names import ATTRIBUTE_NAMES, normalised
from flows.cli.init.sample import read_sample
from flows.cli.init.toml import toml_text

_NAME_IN_CELL = re.compile(r'(?:^|,)\s*"?([^=,"]{1,100})=')
_SHOWN = 8


class PairSource(NamedTuple):
    """Pairs that have an attribute's labels, how they are called in a note, and the note."""

    source: LabelPairs
    shown: str
    note: str


def pair_sources(feed: FeedSettings, mapping: Mapping, names: list[str]) -> dict[str, list[PairSource]]:
    """The pairs of a feed that have labels, by attribute."""
    if not (mapping.pairs or mapping.pair_cells):
        return {}
    numbered = {pair: LabelPairs(["any"], *pair).columns(names) for pair in mapping.pairs}
    wanted = [name for columns in numbered.values() for name, _ in columns] + mapping.pair_cells
    words = read_sample(feed, {name: name for name in wanted}).words
    sources: dict[str, list[PairSource]] = {}

    def add(used: Iterable[str], shown: str, **where: str) -> None:
        spellings = Counter(used)
        for attribute, usual in ATTRIBUTE_NAMES.items():
            called = sorted(name for name in spellings if normalised(name) in usual)
            often = sorted(spellings, key=lambda name: (-spellings[name], name))
            others = [name for name in often if name not in called][:_SHOWN]
            note = f"{shown}, where the name is {', '.join(map(toml_text, called))}; several words are no label"
            note += f". Other names there: {', '.join(map(toml_text, others))}" if others else ""
            if called:
                sources.setdefault(attribute, []).append(PairSource(LabelPairs(called, **where), shown, note))

    for (name, value), columns in numbered.items():
        used = [word.strip() for column, _ in columns for word in words.get(column, ())]
        add(used, f"{toml_text(name)} with {toml_text(value)}", name=name, value=value)
    for column in mapping.pair_cells:
        cells = words.get(column, Counter())
        add([name.strip() for cell in cells for name in _NAME_IN_CELL.findall(cell)], toml_text(column), pairs=column)
    return sources
