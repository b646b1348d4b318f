"""The catalogue's tables. A listing's key is (feed, listing_id); times are UTC without a zone.

No primary keys, unique constraints or indexes: DuckDB has lost data on replaying them after a kill. There is
one writer at a time (`database.Database`), and every inserting statement keeps natural keys unique itself.
"""

from typing import Any

import polars as pl
import sqlalchemy as sa

from schemas.frames import TAG

METADATA = sa.MetaData()


def _table(name: str, **columns: sa.types.TypeEngine[Any]) -> sa.Table:
    return sa.Table(name, METADATA, *(sa.Column(column, kind) for column, kind in columns.items()))


TEXT = sa.Text()
INTEGER = sa.BigInteger()
REAL: sa.REAL[float] = sa.REAL()
FLAG = sa.Boolean()
TIME = sa.DateTime()
TEXTS = sa.ARRAY(sa.Text)
_COLUMN_TYPES: dict[Any, sa.types.TypeEngine[Any]] = {pl.String(): TEXT, pl.Float32(): REAL, pl.Boolean(): FLAG}

LISTINGS = _table(
    "listings",
    feed=TEXT,
    listing_id=TEXT,
    product_id=TEXT,
    title=TEXT,
    image_hash=TEXT,  # of the first usable picture; null: tagged from its title alone
    input_hash=TEXT,  # of what a model sees: the title and that picture
    row_hash=TEXT,  # of the feed's row and its pictures: an equal one costs nothing at the next ingest
    inactive_since=TIME,  # gone from a full feed; null: there
    run_id=TEXT,
    updated_at=TIME,
    split=TEXT,  # that the feed gives it (`schemas.listings.SPLIT_WORDS`); null: none, its product decides
)
LISTING_IMAGES = _table(
    "listing_images",
    feed=TEXT,
    listing_id=TEXT,
    position=INTEGER,  # from 0, in the feed's order
    uri=TEXT,  # without passwords and signatures
    image_hash=TEXT,  # the last good picture that came from there; null: none ever
    code=TEXT,  # why it cannot be used now; null: it can
    reason=TEXT,
)
IMAGES = _table(
    "images",
    image_hash=TEXT,
    width=INTEGER,
    height=INTEGER,
    bytes=INTEGER,
    perceptual_hash=TEXT,  # 64 bits in hex: near-duplicates differ in few bits
    shard=TEXT,
)
# What each reference to a picture led to, so that an unchanged one is neither fetched nor shrunk again.
PICTURE_SOURCES = _table(
    "picture_sources",
    feed=TEXT,
    key=TEXT,  # of the reference (`picture_key`), or of the embedded bytes
    stamp=TEXT,  # the file's time and size, or the server's ETag
    picture_size=INTEGER,  # the setting that it was shrunk by
    image_hash=TEXT,
    code=TEXT,
    reason=TEXT,
    checked_at=TIME,
)
LABELS = _table(
    "labels",
    feed=TEXT,
    listing_id=TEXT,
    attribute=TEXT,
    source=TEXT,  # merchant | reviewer | import
    word=TEXT,
    value=TEXT,  # null where the taxonomy does not know the word
)
REJECTIONS = _table(
    "rejections",
    feed=TEXT,
    row_number=INTEGER,  # null at stage tag
    listing_id=TEXT,
    stage=TEXT,  # ingest | tag
    codes=TEXTS,
    reason=TEXT,
    raw=TEXT,
    run_id=TEXT,
    first_seen=TIME,
    last_seen=TIME,
)
TAGS = _table(
    "tags",
    feed=TEXT,
    listing_id=TEXT,
    **{field.name: _COLUMN_TYPES[field.dtype] for field in TAG.fields},  # a field of TAG is a column here
    model_version=TEXT,
    engine=TEXT,
    certificate=TEXT,  # id of what the feed's tags are accepted by
    input_hash=TEXT,
    run_id=TEXT,
    tagged_at=TIME,
)
NOISE_FLAGS = _table(
    "noise_flags",
    feed=TEXT,
    listing_id=TEXT,
    kind=TEXT,
    attribute=TEXT,
    score=REAL,
    detail=TEXT,
    model_version=TEXT,
    input_hash=TEXT,
    run_id=TEXT,
)
# Of each tagging run: a feed's new confidences against those that its certificates were made on.
DRIFT = _table(
    "drift",
    feed=TEXT,
    attribute=TEXT,
    model_version=TEXT,
    engine=TEXT,
    run_id=TEXT,
    listings=INTEGER,
    statistic=REAL,  # Kolmogorov–Smirnov distance, in [0, 1]
    p_value=REAL,
    drifted=FLAG,
)
MODEL_VERSIONS = _table(
    "model_versions",
    model_version=TEXT,
    created_at=TIME,
    preset=TEXT,
    path=TEXT,
    parent=TEXT,  # the champion when it was trained; null: none
    pretrained=TEXT,  # the weights that it started from: a tag, or a file's SHA-256; null: random ones
    data_hash=TEXT,  # of the labelled listings that it learned from
    data=TEXT,  # JSON: how many of each feed and split
    config=TEXT,  # JSON
    code_version=TEXT,
    git_commit=TEXT,  # null: not run from a checkout
    seconds=REAL,  # of training
    device=TEXT,
    metrics=TEXT,  # JSON
    comparison=TEXT,  # JSON, with the champion of then; null: none was made
    refused=TEXT,  # why it was not promoted by itself; null: it was not refused
)
# The champion is the model of the last promotion that was not withdrawn, so there is never another beside it.
PROMOTIONS = _table(
    "promotions",
    place=INTEGER,  # from 1, in the order that they were made
    model_version=TEXT,
    replaced=TEXT,  # the champion until then; null: none
    reason=TEXT,
    promoted_at=TIME,
    withdrawn_at=TIME,  # by a rollback; null: it stands
)
RUNS = _table(
    "runs",
    run_id=TEXT,
    flow=TEXT,
    started_at=TIME,
    finished_at=TIME,
    state=TEXT,
    summary=TEXT,  # JSON
)
EVALUATIONS = _table(
    "evaluations",
    model_version=TEXT,
    engine=TEXT,
    evaluated_at=TIME,
    split=TEXT,
    data_hash=TEXT,  # of the labelled listings that it was evaluated on
    results=TEXT,  # JSON: metrics with intervals
)
