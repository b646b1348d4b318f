import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any

import polars as pl
import pytest

from models.engines.interface import Features
from models.engines.torch_engine import TorchEngine
from models.lifecycle.model import Model
from models.lifecycle.tagger import Tagger
from models.rules.noise.kinds import KINDS
from models.training.presets import Preset
from schemas.frames import TAGGED, work_schema
from tests.models.tiny import TAXONOMY, jpeg, model_folder

SCHEMA = work_schema(TAXONOMY.names)
ROWS = {
    "whole": ("red striped dress", jpeg(), "blue", "plain"),
    "broken": ("a dress", b"\xff\xd8 not a picture", "red", None),
    "title only": ("green summer dress with a belt", None, None, None),
    "picture only": ("", jpeg((0, 0, 200)), "no such value", "striped"),
    "no title": (None, jpeg((0, 200, 0)), None, None),
    "nothing": ("", None, None, None),
    "last": ("dress", jpeg(size=(20, 90)), "green", None),
}


def work(*ids: str) -> pl.DataFrame:
    rows = [("shop", id_, f"hash of {id_}", f"fingerprint of {id_}", *ROWS[id_]) for id_ in ids]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


@pytest.fixture
def folder(preset: Preset, tmp_path: Path) -> Path:
    model_folder(tmp_path, preset, threshold=0.0)
    return tmp_path


@pytest.fixture
def tagged(folder: Path) -> pl.DataFrame:
    return Tagger.load(folder, engine="torch", threads=1).tag(work(*ROWS))


def tags_of(tagged: pl.DataFrame, listing: str) -> dict[str, dict[str, object]]:
    (tags,) = tagged.filter(listing_id=listing)["tags"].to_list()
    return {tag["attribute"]: tag for tag in tags}


def test_every_listing_comes_back_in_its_place(tagged: pl.DataFrame) -> None:
    assert tagged.schema == TAGGED
    assert tagged["listing_id"].to_list() == list(ROWS)
    assert tagged["input_hash"].to_list() == [f"hash of {id_}" for id_ in ROWS]
    assert tagged["fingerprint"].to_list() == [f"fingerprint of {id_}" for id_ in ROWS]
    assert tagged["feed"].unique().to_list() == ["shop"]


def test_what_cannot_be_tagged_says_why(tagged: pl.DataFrame) -> None:
    errors = dict(tagged.select("listing_id", "error").iter_rows())
    assert {id_ for id_, error in errors.items() if error} == {"broken", "nothing"}
    assert errors["broken"] == "the stored picture cannot be decoded (it is no JPEG)"
    assert errors["nothing"] == "the listing has neither a picture nor a title"
    for row in tagged.filter(pl.col("error").is_not_null()).iter_rows(named=True):
        assert row["tags"] == [] and row["flags"] == []


def test_tags(tagged: pl.DataFrame) -> None:
    for listing in ("whole", "title only", "picture only", "no title", "last"):
        tags = tags_of(tagged, listing)
        assert list(tags) == ["color", "pattern"]
        for name, tag in tags.items():
            values = TAXONOMY[name].value_names
            assert tag["value"] in values and 0 < float(str(tag["confidence"])) <= 1
        assert tags["color"]["accepted"] is tags["color"]["certified"] is True  # threshold 0
        assert tags["pattern"]["accepted"] is tags["pattern"]["certified"] is False  # nothing could be certified
        assert tags["color"]["provisional"] is tags["pattern"]["provisional"] is False


def test_another_feed_has_the_same_tags_without_the_promise(folder: Path, tagged: pl.DataFrame) -> None:
    tagger = Tagger.load(folder, engine="torch", threads=1)
    both = pl.concat([work("whole"), work("whole").with_columns(feed=pl.lit("elsewhere"))])
    here, elsewhere = tagger.tag(both).iter_rows(named=True)
    assert here["certificate"] == tagged["certificate"].unique().item() != elsewhere["certificate"]
    for own, foreign in zip(here["tags"], elsewhere["tags"], strict=True):
        promise = {"accepted": False, "certified": False, "provisional": own["accepted"]}
        assert foreign == pytest.approx(own | promise, abs=1e-6)


def test_a_missing_modality_has_no_weight(tagged: pl.DataFrame) -> None:
    weights = {id_: {tag["image_weight"] for tag in tags_of(tagged, id_).values()} for id_ in ROWS}
    assert weights["title only"] == {0.0}
    assert weights["picture only"] == weights["no title"] == {1.0}
    assert all(0 < float(str(weight)) < 1 for weight in weights["whole"] | weights["last"])


def test_flags(tagged: pl.DataFrame) -> None:
    """All thresholds are 0 here, so every score above nothing is a flag."""
    flags = {row["listing_id"]: row["flags"] for row in tagged.iter_rows(named=True)}
    assert {flag["kind"] for listing in flags.values() for flag in listing} <= set(KINDS)
    (mismatch,) = [flag for flag in flags["whole"] if flag["kind"] == "mismatch"]
    assert mismatch["attribute"] is None and mismatch["score"] == pytest.approx(0.26894, abs=1e-4)  # σ(−1 + 0 · …)
    for single in ("title only", "picture only", "no title"):
        assert {flag["kind"] for flag in flags[single]} <= {"label_conflict"}
    assert not flags["title only"] and not flags["no title"]  # and they have no label
    tag = tags_of(tagged, "picture only")["pattern"]["value"]
    expected = [("pattern", f"labelled striped, tagged {tag}")] if tag != "striped" else []
    assert [(flag["attribute"], flag["detail"]) for flag in flags["picture only"]] == expected
    labelled = {flag["attribute"]: flag["detail"] for flag in flags["whole"] if flag["kind"] == "label_conflict"}
    for name, label in (("color", "blue"), ("pattern", "plain")):
        tag = tags_of(tagged, "whole")[name]["value"]
        assert labelled.get(name) == (None if tag == label else f"labelled {label}, tagged {tag}")


def test_a_listing_is_tagged_the_same_alone_and_in_company(folder: Path, tagged: pl.DataFrame) -> None:
    tagger = Tagger.load(folder, engine="auto", threads=1)
    assert tagger.identity.backend == "torch"  # nothing was compiled
    alone = tagger.tag(work("picture only"))
    for name, tag in tags_of(tagged, "picture only").items():
        again = tags_of(alone, "picture only")[name]
        assert again["value"] == tag["value"]
        assert again["confidence"] == pytest.approx(tag["confidence"], abs=1e-5)


def test_frames_without_anything_to_tag(folder: Path) -> None:
    tagger = Tagger.load(folder, engine="torch", threads=1)
    empty = tagger.tag(work())
    assert empty.schema == TAGGED and empty.height == 0
    hopeless = tagger.tag(work("nothing", "broken"))
    assert hopeless.schema == TAGGED and hopeless["listing_id"].to_list() == ["nothing", "broken"]
    assert hopeless["error"].null_count() == 0


def test_the_same_input_is_encoded_once(folder: Path, tagged: pl.DataFrame) -> None:
    model, given = Model.open(folder), list[int]()

    class Counting(TorchEngine):
        def __call__(self, pictures: Any, *others: Any) -> Features:
            given.append(len(pictures))
            return super().__call__(pictures, *others)

    tagger = Tagger(model, Counting(model.network), model.card.certificates)
    sisters = work(*ROWS).with_columns(listing_id=pl.lit("sister of ") + pl.col("listing_id"))
    both = tagger.tag(pl.concat([work(*ROWS), sisters]))
    assert given == [5]
    assert both["listing_id"].to_list() == [*ROWS, *sisters["listing_id"]]
    assert both.head(7).equals(tagged) and both.tail(7).drop("listing_id").equals(tagged.drop("listing_id"))


def test_threads_wait_for_the_engine(folder: Path, tagged: pl.DataFrame) -> None:
    model, running = Model.open(folder), Lock()

    class OneAtATime(TorchEngine):
        """As OpenVINO's requests are: another call meanwhile is an error."""

        def __call__(self, *arrays: Any) -> Features:
            assert running.acquire(blocking=False), "the engine is busy"
            try:
                time.sleep(0.02)
                return super().__call__(*arrays)
            finally:
                running.release()

    tagger = Tagger(model, OneAtATime(model.network), model.card.certificates)
    with ThreadPoolExecutor(4) as pool:
        for again in pool.map(tagger.tag, [work(*ROWS)] * 8):
            assert again.equals(tagged)
