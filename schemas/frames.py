"""The frames that cross processes: WORK goes to a worker, TAGGED comes back. One row is one listing."""

import polars as pl

LABEL_WORD_PREFIX = "label_word_"  # column `label_word_<attribute>`: the merchant's own word

LABEL_PREFIX = "label_"  # column `label_<attribute>`: the taxonomy value that the merchant gave, or null

# `picture` is a stored JPEG, null where there is none; a `label_<attribute>` column an attribute follows.
WORK = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "title": pl.String(),
        "picture": pl.Binary(),
    }
)

# A listing once it has been through the engine: what is kept of it, by `input_hash`, for the next time. A
# `label_<attribute>` column an attribute follows.
ENCODED = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "has_picture": pl.Boolean(),
        "has_title": pl.Boolean(),
        "features": pl.Binary(),  # I′, T′ and the towers' embeddings, in bf16
        "error": pl.String(),  # why there are none
    }
)
_OF_AN_INPUT = ("input_hash", "has_picture", "has_title", "features")
KEPT = pl.Schema({**{name: ENCODED[name] for name in _OF_AN_INPUT}, "crc32": pl.UInt32()})  # of all the others

TAG = pl.Struct(
    {
        "attribute": pl.String(),
        "value": pl.String(),
        "confidence": pl.Float32(),  # calibrated, in [0, 1]
        "accepted": pl.Boolean(),  # clears the threshold certified for the target precision on its own feed
        "certified": pl.Boolean(),  # anything is certified for the attribute on its own feed
        "provisional": pl.Boolean(),  # would be accepted elsewhere, where its own feed has too few labels to say
        "image_weight": pl.Float32(),  # the paper's λ: 1 is all picture, 0 is all title
    }
)

FLAG = pl.Struct(
    {
        "kind": pl.String(),  # the name of a noise kind of the model
        "attribute": pl.String(),  # null for a flag of the whole listing
        "score": pl.Float32(),  # in [0, 1]
        "detail": pl.String(),
    }
)

# `error` says why a listing could not be tagged; its `tags` and `flags` are then empty.
TAGGED = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "certificate": pl.String(),  # id of what the feed's tags are accepted by
        "error": pl.String(),
        "tags": pl.List(TAG),
        "flags": pl.List(FLAG),
    }
)


def work_schema(attributes: tuple[str, ...]) -> pl.Schema:
    """WORK with one `label_<attribute>` text column for each attribute."""
    return pl.Schema({**WORK, **{f"{LABEL_PREFIX}{name}": pl.String() for name in attributes}})
