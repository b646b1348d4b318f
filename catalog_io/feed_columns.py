"""Which of a feed's columns are which of ours, and the frame that every source makes of them."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Self

import polars as pl

from schemas.errors import UserError

LABEL_WORD_PREFIX = "label_word_"  # column `label_word_<attribute>`: the merchant's own word


class FeedColumns(NamedTuple):
    """`theirs` maps each of our text columns (ids, title, image, label words) to the feed's."""

    theirs: dict[str, str]

    @classmethod
    def of(cls, columns: Mapping[str, str], labels: Mapping[str, str]) -> Self:
        ids = {
            "listing_id": columns["listing_id"],
            "product_id": columns.get("product_id", columns["listing_id"]),
        }
        words = {f"{LABEL_WORD_PREFIX}{attribute}": column for attribute, column in labels.items()}
        return cls({**ids, "title": columns["title"], "image": columns["image"], **words})

    @property
    def schema(self) -> pl.Schema:
        """Of the frames, without row_number."""
        text = dict.fromkeys(self.theirs, pl.String())
        return pl.Schema({**text, "picture": pl.Binary(), "raw": pl.String(), "fault": pl.String()})

    def check(self, there: Collection[str], path: str) -> None:
        """UserError where a mapped column is not among those that are `there`."""
        missing = dict.fromkeys(name for name in self.theirs.values() if name not in there)
        if missing:
            hint = " (columns must be parted by commas)" if len(there) == 1 and ";" in next(iter(there)) else ""
            raise UserError(
                f"{path}: there is no column {', '.join(map(repr, missing))}{hint}; "
                f"the columns are: {', '.join(there)}. Correct the feed's `columns` or `labels` in cma.toml"
            )
