"""The catalogue's tables. A listing's key is (feed, listing_id); times are UTC without a zone.

No primary keys, unique constraints or indexes: DuckDB has lost data on replaying them after a kill. There is
one writer at a time (`database.Database`), and every inserting statement keeps natural keys unique itself.
"""

from datetime import datetime
from typing import Any, get_args, get_type_hints

import polars as pl

from catalog_io.catalog.model_records import ModelRow, Promotion
from schemas.frames import FLAG, TAG

TEXT, TEXTS, INTEGER, REAL, BOOLEAN, TIME = "text", "text[]", "bigint", "real", "boolean", "timestamp"


def _struct_columns(struct: pl.Struct) -> dict[str, str]:
    """One column for each field of a struct of `schemas.frames`."""
    kinds: dict[Any, str] = {pl.String(): TEXT, pl.Float32(): REAL, pl.Boolean(): BOOLEAN}
    return {field.name: kinds[field.dtype] for field in struct.fields}


def _record_columns(record: type) -> dict[str, str]:
    """One column for each field of a record; text and JSON are both TEXT."""
    kinds: dict[Any, str] = {int: INTEGER, float: REAL, datetime: TIME}
    return {name: kinds.get((get_args(kind) or (kind,))[0], TEXT) for name, kind in get_type_hints(record).items()}


TABLES: dict[str, dict[str, str]] = {
    "listings": {
        "feed": TEXT,
        "listing_id": TEXT,
        "product_id": TEXT,
        "title": TEXT,
        "image_hash": TEXT,  # of the first usable picture; null: tagged from its title alone
        "input_hash": TEXT,  # of what a model sees: the title and that picture
        "row_hash": TEXT,  # of the feed's row and its pictures: a row with the same hash is skipped by the next ingest
        "inactive_since": TIME,  # when it was gone from a full feed; null: it is active
        "run_id": TEXT,
        "updated_at": TIME,
        "split": TEXT,  # the feed's (`schemas.listings.SPLIT_WORDS`); null: its product decides
    },
    "listing_images": {
        "feed": TEXT,
        "listing_id": TEXT,
        "position": INTEGER,  # from 0, in the feed's order
        "uri": TEXT,  # without login, query and fragment
        "image_hash": TEXT,  # the last good picture from this reference; null: there was none
        "code": TEXT,  # why the picture cannot be used now; null: it can
        "reason": TEXT,
        "note": TEXT,  # what is doubtful about a picture that is used
    },
    "images": {
        "image_hash": TEXT,
        "width": INTEGER,
        "height": INTEGER,
        "bytes": INTEGER,
        "perceptual_hash": TEXT,  # 64 bits in hex: near-duplicates differ in few bits
        "shard": TEXT,
    },
    # The result of each picture reference, so that an unchanged picture is neither fetched nor shrunk again.
    "picture_sources": {
        "feed": TEXT,
        "key": TEXT,  # of the reference (`picture_key`), or of the embedded bytes
        "stamp": TEXT,  # the file's time and size, or the server's ETag
        "root": TEXT,  # the feed's picture root, without secrets
        # With what its source was last read: the shorter side in pixels, and PIXEL_RULES (null: before there were any).
        "picture_size": INTEGER,
        "pixel_rules": INTEGER,
        "image_hash": TEXT,  # the last good picture
        "code": TEXT,
        "reason": TEXT,
        "note": TEXT,
        "checked_at": TIME,
    },
    "labels": {
        "feed": TEXT,
        "listing_id": TEXT,
        "attribute": TEXT,
        "source": TEXT,  # merchant | reviewer | import
        "word": TEXT,
        "value": TEXT,  # null where the word is of no value of the taxonomy
        "outside": BOOLEAN,  # the word says that the listing has none of the values; false: it has one, or nobody knows
    },
    "rejections": {
        "feed": TEXT,
        "row_number": INTEGER,  # null at stage tag
        "listing_id": TEXT,
        "stage": TEXT,  # ingest | tag
        "codes": TEXTS,
        "reason": TEXT,
        "raw": TEXT,
        "fingerprint": TEXT,  # at stage tag, as in the table tags
        "rules": TEXT,  # at stage tag, as in the table tags
        "run_id": TEXT,
        "first_seen": TIME,
        "last_seen": TIME,
    },
    "tags": {
        "feed": TEXT,
        "listing_id": TEXT,
        **_struct_columns(TAG),
        "model_version": TEXT,
        "engine": TEXT,
        "certificate": TEXT,  # id of the certificate by which the feed's tags are accepted
        "input_hash": TEXT,
        "fingerprint": TEXT,  # of the listing: title, picture and labels (view `tag_inputs`)
        "rules": TEXT,  # id of all else that tags and flags depend on (`Model.rules_id`)
        "run_id": TEXT,
        "tagged_at": TIME,
    },
    "noise_flags": {
        "feed": TEXT,
        "listing_id": TEXT,
        **_struct_columns(FLAG),
        "model_version": TEXT,
        "input_hash": TEXT,
        "fingerprint": TEXT,
        "rules": TEXT,
        "run_id": TEXT,
    },
    # Tags whose value or acceptance a tagging run changed. A first tag is no change. `cause`: see `history`.
    "tag_history": {
        "feed": TEXT,
        "listing_id": TEXT,
        "attribute": TEXT,
        "old_value": TEXT,
        "old_confidence": REAL,
        "old_accepted": BOOLEAN,
        "value": TEXT,  # null where the listing could not be tagged any more
        "confidence": REAL,
        "accepted": BOOLEAN,
        "cause": TEXT,  # listing | rules | failed
        "model_version": TEXT,
        "run_id": TEXT,
        "changed_at": TIME,
    },
    "flag_history": {
        "feed": TEXT,
        "listing_id": TEXT,
        "kind": TEXT,
        "attribute": TEXT,
        "change": TEXT,  # raised | removed
        "score": REAL,
        "detail": TEXT,
        "cause": TEXT,  # new | listing | rules | failed
        "model_version": TEXT,
        "run_id": TEXT,
        "changed_at": TIME,
    },
    # By tagging run: a feed's new confidences, compared with those that its certificates were made on.
    "drift": {
        "feed": TEXT,
        "attribute": TEXT,
        "model_version": TEXT,
        "engine": TEXT,
        "run_id": TEXT,
        "listings": INTEGER,
        "statistic": REAL,  # Kolmogorov–Smirnov distance, in [0, 1]
        "p_value": REAL,
        "drifted": BOOLEAN,
    },
    "model_versions": {k: v for k, v in _record_columns(ModelRow).items() if k != "state"},
    # The champion is the model of the last promotion that was not withdrawn, so there is never another beside it.
    "promotions": _record_columns(Promotion),
    "runs": {
        "run_id": TEXT,
        "flow": TEXT,
        "started_at": TIME,
        "finished_at": TIME,
        "state": TEXT,
        "summary": TEXT,  # JSON
    },
    "evaluations": {
        "model_version": TEXT,
        "engine": TEXT,
        "evaluated_at": TIME,
        "split": TEXT,
        "data_hash": TEXT,  # of the labelled listings of the evaluation
        "results": TEXT,  # JSON: metrics with intervals
    },
}
