"""The words that programs write where there is nothing: one list for ids, titles, pictures and labels."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

from schemas.attribute import fold
from schemas.cells.spreadsheets import is_error
from schemas.taxonomy import Taxonomy

# As programs write them: pandas, numpy, R, SQL, JavaScript, Java and spreadsheets. `Na` is a name, `NA` is not.
NULL_WORDS = frozenset(
    (
        *("nan", "NaN", "NAN", "Nan", "-nan", "-NaN", "NaT", "<NaT>", "<NA>", "<na>", "NA", "na", "N/A", "n/a", "N/a"),
        *("#N/A", "#n/a", "#N/A N/A", "#NA", "#NV", "#N/D", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", "N.A.", "n.a."),
        *("None", "none", "NONE", "NULL", "null", "Null", "<null>", "<NULL>", "(null)", "(NULL)", "[NULL]", "[null]"),
        *(
            "nil",
            "Nil",
            "NIL",
            "<nil>",
            "undefined",
            "Undefined",
            "\\N",
            "(blank)",
            "(blanks)",
            "(empty)",
            "(none)",
            "<none>",
        ),
        *("<None>", "[]", "{}", "[None]", '""', "''", "-", "--", "---", "\u2013", "\u2014", "\u2014\u2014", "?"),
    )
)
# In a label these say that the merchant does not know.
_UNKNOWN = (
    *("unknown", "unspecified", "not specified", "not applicable", "not available", "missing", "tbd", "tba", "unk"),
    *("not provided", "not known", "not set", "no data", "unavailable", "none specified", "to be determined"),
)
_LABEL_WORDS = frozenset({*map(fold, NULL_WORDS), *_UNKNOWN})


def is_null_label(word: str) -> bool:
    """Whether a label's word says nothing, in any spelling of letters: a word for nothing, or a spreadsheet's error."""
    return fold(word) in _LABEL_WORDS or is_error(word)


class NullWords(NamedTuple):
    """NULL_WORDS with a feed's own, and the label words that have a meaning because the taxonomy has them."""

    more: frozenset[str] = frozenset()  # folded
    meant: Mapping[str, frozenset[str]] = {}  # by attribute, folded

    @classmethod
    def of(cls, more: Iterable[str], taxonomy: Taxonomy | None = None) -> Self:
        """The words of a feed's setting `null_words`, and a taxonomy, one of whose words may be such as `none`."""
        attributes = taxonomy.attributes if taxonomy else ()
        meant = {
            attribute.name: frozenset(
                fold(word) for value, words in attribute.values.items() for word in (value, *words)
            )
            for attribute in attributes
        }
        return cls(frozenset(map(fold, more)), meant)

    def has(self, text: str) -> bool:
        """Whether this id, title or picture is a word for nothing."""
        return text in NULL_WORDS or (bool(self.more) and fold(text) in self.more)

    def has_label(self, attribute: str, word: str) -> bool:
        """Whether this label word says nothing; a word of the taxonomy says something."""
        if not is_null_label(word) and fold(word) not in self.more:
            return False
        return fold(word) not in self.meant.get(attribute, ())
