"""An attribute of the taxonomy: its values, and what each word of a merchant's label says about them."""

import re
import unicodedata
from functools import cached_property
from typing import Literal

import polars as pl
from pydantic import BaseModel, ConfigDict

from schemas.cells.unusable_words import is_unusable_label

UnknownWords = Literal["outside", "unusable"]
NONE_OF_THESE = "none of these values"
_PARTS = re.compile(r"\s*[,;|/&+>»›]\s*")


def fold(word: str) -> str:
    """The word without differences of case, width and whitespace (Unicode NFKC, case-folded)."""
    return " ".join(unicodedata.normalize("NFKC", word).casefold().split())


class Attribute(BaseModel):
    """An attribute. `values` maps each value to the other words for it, in the order of the file.

    `unknown_words` is what a word of no value says: that the listing has none of the values (`outside`), or nothing
    (`unusable`). `unusable` are words that say nothing in any case.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    prompt: str
    values: dict[str, tuple[str, ...]]
    unknown_words: UnknownWords = "outside"
    unusable: tuple[str, ...] = ()

    @property
    def value_names(self) -> tuple[str, ...]:
        """The values in the order of the file: class k of this attribute's head is `value_names[k]`."""
        return tuple(self.values)

    @property
    def none_code(self) -> int:
        """The last class of this attribute's head: the listing has none of the values."""
        return len(self.values)

    @property
    def class_count(self) -> int:
        """The number of classes of this attribute's head: its C values, and "none of these values"."""
        return len(self.values) + 1

    @property
    def answers(self) -> tuple[str, ...]:
        """What each class of the head says."""
        return (*self.values, NONE_OF_THESE)

    @cached_property
    def _value_by_word(self) -> dict[str, str]:
        return {fold(word): value for value, words in self.values.items() for word in (value, *words)}

    @cached_property
    def _unusable(self) -> frozenset[str]:
        return frozenset(map(fold, self.unusable))

    def codes(self, labels: pl.Series) -> pl.Series:
        """The class of each label: a value's place in `value_names`, `none_code` for any other text, −1 for null."""
        classes = {value: code for code, value in enumerate(self.value_names)}
        return labels.replace_strict({**classes, None: -1}, default=self.none_code, return_dtype=pl.Int64)

    def value_of(self, word: str) -> str | None:
        """The value that a merchant's word means; None where it is a word of no value."""
        return self._value_by_word.get(fold(word))

    def is_outside(self, word: str) -> bool:
        """Whether a merchant's word says that the listing has none of the values. A list does not, where one of its
        parts is a value (`red/blue`)."""
        folded = fold(word)
        if self.unknown_words == "unusable" or folded in self._unusable or is_unusable_label(folded):
            return False
        return not any(part in self._value_by_word for part in (folded, *_PARTS.split(folded)))
