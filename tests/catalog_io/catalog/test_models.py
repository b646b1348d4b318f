"""Model versions: where they come from, which of them tags, and that a kill never leaves none or two that do."""

import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io.catalog.catalog import Catalog
from catalog_io.catalog.database import now
from catalog_io.catalog.model_records import Registration
from flows.modelling.lineage import data_lineage, git_commit, started_from
from models.network.architecture import WeightsOrigin
from models.training.presets import PRESETS
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict({"color": {"values": ["red", "blue"]}})


def model(version: str, **changes: object) -> Registration:
    made = Registration(
        model_version=version,
        preset="small",
        path=f"models/{version}",
        pretrained=None,
        data_hash="d" * 64,
        data={"hm": {"train": 70, "test": 10}},
        config={"preset": {"seed": 0}},
        code_version="0.1.0",
        git_commit=None,
        seconds=12.5,
        device="cpu",
        metrics={"color": {"accuracy": 0.5}},
    )
    return replace(made, **changes)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """With models m1 (the champion), m2 and m3."""
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    for version in ("m1", "m2", "m3"):
        catalog.register_model(model(version))
    return catalog


def champion(catalog: Catalog) -> str | None:
    found = [row.model_version for row in catalog.models() if row.champion]
    assert len(found) <= 1
    return found[0] if found else None


def promote(catalog: Catalog, version: str) -> None:
    catalog.promote(version, instead_of=champion(catalog), reason="by hand")


def roll_back(catalog: Catalog) -> None:
    found = champion(catalog)
    assert found is not None
    catalog.roll_back(found)


def states(catalog: Catalog) -> dict[str, str]:
    return {row.model_version: row.state for row in catalog.models()}


def test_a_model_is_stored_as_it_was_registered(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    catalog.create(TAXONOMY)
    assert catalog.models() == []
    assert catalog.champion() is None
    first = model("m1", pretrained="openai", git_commit="abc-dirty", metrics={"color": {"precision": float("nan")}})
    catalog.register_model(first)
    catalog.register_model(model("m2"))
    newest, oldest = catalog.models()
    for name in set(Registration.__dataclass_fields__) - {"metrics"}:
        assert getattr(oldest, name) == getattr(first, name)
    assert oldest.metrics == {"color": {"precision": None}}  # NaN is no JSON
    assert (oldest.parent, newest.parent) == (None, "m1")
    assert timedelta(0) <= now() - newest.created_at < timedelta(minutes=1)
    assert states(catalog) == {"m1": "champion", "m2": "candidate"}


def test_a_refused_model_keeps_its_reason_until_it_is_promoted(catalog: Catalog) -> None:
    catalog.record_comparison("m2", {"champion": "m1", "products": 9}, refused="accuracy may be 4.0% lower")
    row = next(row for row in catalog.models() if row.model_version == "m2")
    assert (row.state, row.refused, row.comparison) == (
        "refused",
        "accuracy may be 4.0% lower",
        {"champion": "m1", "products": 9},
    )
    promote(catalog, "m2")
    assert states(catalog) == {"m1": "retired", "m2": "champion", "m3": "candidate"}


def test_a_rollback_goes_back_in_the_order_of_promotions(catalog: Catalog) -> None:
    promote(catalog, "m3")
    promote(catalog, "m2")
    roll_back(catalog)
    assert champion(catalog) == "m3"
    roll_back(catalog)
    assert champion(catalog) == "m1"
    with pytest.raises(UserError, match="m1 is the first champion"):
        roll_back(catalog)
    promote(catalog, "m2")  # a rollback is not promoted again by rolling back
    roll_back(catalog)
    assert champion(catalog) == "m1"
    made = [(made.place, made.model_version, made.replaced, made.withdrawn_at is None) for made in catalog.promotions()]
    assert made == [(1, "m1", None, True), (2, "m3", "m1", False), (3, "m2", "m3", False), (4, "m2", "m1", False)]


def test_promoting_the_champion_changes_nothing(catalog: Catalog) -> None:
    before = catalog.promotions()
    promote(catalog, "m1")
    assert catalog.promotions() == before


def test_a_model_that_is_not_registered_cannot_be_promoted(catalog: Catalog) -> None:
    with pytest.raises(UserError, match="no model m9; registered are: m3, m2, m1"):
        promote(catalog, "m9")
    assert champion(catalog) == "m1"


def test_a_decision_about_another_champion_is_refused(catalog: Catalog) -> None:
    """Two trainings end at once: the second one was compared with a champion that is not any more."""
    catalog.promote("m2", instead_of="m1", reason="not worse than m1")
    with pytest.raises(UserError, match=r"it is m2, not m1; nothing was changed"):
        catalog.promote("m3", instead_of="m1", reason="not worse than m1")
    with pytest.raises(UserError, match=r"it is m2, not m1"):
        catalog.roll_back("m1")
    assert champion(catalog) == "m2"


@settings(max_examples=15)
@given(st.lists(st.sampled_from(["m1", "m2", "m3", "back"]), max_size=8))
def test_promotions_and_rollbacks_are_a_stack(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder))
        catalog.create(TAXONOMY)
        with catalog._database.transaction() as connection:
            catalog._database.transaction = lambda: nullcontext(connection)  # one for all steps is faster
            for version in ("m1", "m2", "m3"):
                catalog.register_model(model(version))
            stack = ["m1"]
            for step in steps:
                if step != "back":
                    catalog.promote(step, instead_of=stack[-1], reason="by hand")
                    stack += [step] if step != stack[-1] else []
                elif len(stack) > 1:
                    catalog.roll_back(stack.pop())
                assert [row.model_version for row in catalog.models() if row.champion] == [stack[-1]]


HALF_WAY = """
import contextlib, pathlib, sys, time
from catalog_io.catalog.catalog import Catalog
catalog = Catalog(pathlib.Path(sys.argv[1]), lock_timeout=1)
transaction = catalog._database.transaction
@contextlib.contextmanager
def never_committed():
    with transaction() as connection:
        yield connection
        print("open", flush=True)
        time.sleep(60)
catalog._database.transaction = never_committed
if sys.argv[2] == "promote":
    catalog.promote("m2", instead_of="m1", reason="by hand")
else:
    catalog.roll_back("m3")
"""


@pytest.mark.parametrize(("what", "before"), [("promote", "m1"), ("roll back", "m3")])
def test_a_switch_that_is_killed_half_way_has_not_happened(catalog: Catalog, what: str, before: str) -> None:
    if before == "m3":
        promote(catalog, "m3")
    command = [sys.executable, "-c", HALF_WAY, str(catalog.home), what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "open\n"
        process.kill()
    assert champion(catalog) == before
    promote(catalog, "m2")
    assert champion(catalog) == "m2"


RESTLESS = """
import itertools, pathlib, sys, time
from catalog_io.catalog.catalog import Catalog
from schemas.errors import UserError
catalog = Catalog(pathlib.Path(sys.argv[1]), lock_timeout=120)
for version in itertools.cycle(("m1", "m2", "m3")):
    try:
        now = catalog.champion()
        catalog.promote(version, instead_of=now.model_version, reason="by hand")
    except UserError as fault:
        assert "another run has changed the champion" in str(fault), fault
    print("tried", flush=True)
    time.sleep(0.05)  # the other one's turn
"""


def test_two_processes_that_are_killed_leave_one_champion(catalog: Catalog) -> None:
    command = [sys.executable, "-c", RESTLESS, str(catalog.home)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other,
    ):
        for process in (one, other):
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(3)] == ["tried\n"] * 3
        one.kill()  # wherever they are by now
        other.kill()
    assert champion(catalog) in ("m1", "m2", "m3")
    made = catalog.promotions()
    assert [promotion.place for promotion in made] == list(range(1, len(made) + 1))
    assert [promotion.replaced for promotion in made[1:]] == [promotion.model_version for promotion in made[:-1]]
    assert len(made) > 1


ROWS = {
    "feed": ["hm", "hm", "myntra"],
    "listing_id": ["1", "2", "1"],
    "input_hash": ["aa", "bb", "cc"],
    "split": ["train", "test", "train"],
    "label_color": ["red", None, "blue"],
}
HASH = "cbc9fea9f4c5aeb23c0364c8e541098e61570d7a7d27b02584770a19cf3bb4cd"


def test_the_data_hash_knows_every_listing_label_and_split() -> None:
    frame = pl.DataFrame(ROWS)
    lineage = data_lineage(frame, ["color"])
    assert lineage.hash == HASH
    assert lineage.listings == {"hm": {"test": 1, "train": 1}, "myntra": {"train": 1}}
    assert data_lineage(frame.reverse(), ["color"]) == lineage
    changed = [
        frame.head(2),
        *(
            frame.with_columns(
                pl.when(pl.int_range(pl.len()) == 1).then(pl.lit("x")).otherwise(pl.col(name)).alias(name)
            )
            for name in ROWS
        ),
        frame.with_columns(pl.col("label_color").fill_null("")),
    ]
    assert len({lineage.hash, *(data_lineage(other, ["color"]).hash for other in changed)}) == len(changed) + 1


def test_weights_are_named_by_tag_or_by_what_the_file_holds(tmp_path: Path) -> None:
    assert started_from(PRESETS["small"]) is None
    assert started_from(PRESETS["vit-b-32"]) == "openai"
    (tmp_path / "clip.bin").write_bytes(b"weights")
    from_file = replace(PRESETS["vit-b-32"], pretrained=str(tmp_path / "clip.bin"))
    assert started_from(from_file) == "sha256:9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    origin = WeightsOrigin("tf_efficientnet_lite0", "a-package 0.1.0", "Apache-2.0", "5793")
    picture_tower = "tf_efficientnet_lite0: a-package 0.1.0 (Apache-2.0), sha256:5793"
    assert started_from(PRESETS["small"], origin) == picture_tower
    assert started_from(PRESETS["vit-b-32"], origin) == f"openai; {picture_tower}"
    shape = replace(PRESETS["vit-b-32"].architecture, backbone="hf-hub:who/what")
    assert started_from(replace(PRESETS["vit-b-32"], architecture=shape, pretrained=None)) == "hf-hub:who/what"


def test_the_commit_says_whether_files_were_changed_since(tmp_path: Path) -> None:
    assert git_commit(tmp_path) is None

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.com", "-C", str(tmp_path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "code.py").write_text("1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "one")
    commit = git("rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2\n")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_stored_json_is_standard_json(catalog: Catalog) -> None:
    catalog.start_run("r1", "train-cma")
    catalog.finish_run("r1", "completed", {"metrics": {"color": [1.0, float("inf")]}})
    (summary,) = catalog.runs()["summary"]
    assert json.loads(summary, parse_constant=pytest.fail) == {"metrics": {"color": [1.0, None]}}
