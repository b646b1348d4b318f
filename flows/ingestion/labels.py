"""What the label words of a feed say: a value, none of the taxonomy's values, or nothing."""

from dataclasses import dataclass, field

import polars as pl


@dataclass
class LabelSummary:
    """The labelled listings of an attribute by what their words say: a value; none of the taxonomy's values
    (`outside`); nothing (`unusable`). The words of the last two with their listings, the commonest first."""

    values: int = 0
    outside: int = 0
    unusable: int = 0
    outside_words: dict[str, int] = field(default_factory=dict)
    unusable_words: dict[str, int] = field(default_factory=dict)


def label_summaries(words: pl.DataFrame) -> dict[str, LabelSummary]:
    """The summary of each attribute that has labels, from the rows of `Catalog.label_words`."""
    found: dict[str, LabelSummary] = {}
    for attribute, meaning, word, listings in words.iter_rows():
        labels = found.setdefault(attribute, LabelSummary())
        if meaning == "value":
            labels.values = listings
        elif meaning == "outside":
            labels.outside += listings
            labels.outside_words[word] = listings
        else:
            labels.unusable += listings
            labels.unusable_words[word] = listings
    return found
