"""Schemas of the frames that cross processes: a worker gets WORK and returns TAGGED. One row is one listing."""

import polars as pl

# Column `label_<attribute>`: the taxonomy value of the merchant's label; the merchant's own word where the listing has
# none of the values; null where there is no label, or an unusable one.
LABEL_PREFIX = "label_"
LABEL_WORD_PREFIX = "label_word_"  # column `label_word_<attribute>`: the merchant's own word

# A listing to tag; `work_schema` adds a `label_<attribute>` column for each attribute.
WORK = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "fingerprint": pl.String(),
        "title": pl.String(),
        "picture": pl.Binary(),  # the stored JPEG, or null
    }
)

# A listing with its features from the engine; `label_<attribute>` columns follow.
ENCODED = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "fingerprint": pl.String(),
        "has_picture": pl.Boolean(),
        "has_title": pl.Boolean(),
        "features": pl.Binary(),  # I′, T′ and the towers' embeddings, in bf16
        "error": pl.String(),  # why there are no features
    }
)
# A row of the feature store; `crc32` is the checksum of the other columns.
KEPT = pl.Schema(
    {name: ENCODED[name] for name in ("input_hash", "has_picture", "has_title", "features")} | {"crc32": pl.UInt32()}
)

TAG = pl.Struct(
    {
        "attribute": pl.String(),
        "value": pl.String(),
        "confidence": pl.Float32(),  # calibrated, in [0, 1]
        "accepted": pl.Boolean(),  # clears the threshold certified for the target precision on its own feed
        "certified": pl.Boolean(),  # its own feed has a certificate for the attribute
        "provisional": pl.Boolean(),  # its own feed has no certificate, and another feed would accept it
        "image_weight": pl.Float32(),  # the paper's λ: 1 picture only, 0 title only
    }
)

FLAG = pl.Struct(
    {
        "kind": pl.String(),  # see `models.rules.noise.kinds`
        "attribute": pl.String(),  # null: the flag is about the whole listing
        "score": pl.Float32(),  # in [0, 1]
        "detail": pl.String(),
    }
)

# `code` and `error` say why a listing could not be tagged; its `tags` and `flags` are then empty. The codes are
# tag_failed, and tag_kills_worker where the processes that worked on it died.
TAGGED = pl.Schema(
    {
        "feed": pl.String(),
        "listing_id": pl.String(),
        "input_hash": pl.String(),
        "fingerprint": pl.String(),  # of the listing that was tagged: title, picture and labels (view `tag_inputs`)
        "certificate": pl.String(),  # id of the certificates by which tags are accepted
        "code": pl.String(),
        "error": pl.String(),
        "tags": pl.List(TAG),
        "flags": pl.List(FLAG),
    }
)


def work_schema(attributes: tuple[str, ...]) -> pl.Schema:
    """WORK with one `label_<attribute>` text column for each attribute."""
    return pl.Schema({**WORK, **{f"{LABEL_PREFIX}{name}": pl.String() for name in attributes}})
