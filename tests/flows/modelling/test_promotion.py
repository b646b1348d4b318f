"""A new model against the champion: real networks on the sample catalogue's held-out listings."""

import json
import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from rich.console import Console
from safetensors.numpy import load_file, save_file

from flows.cli.printing.modelling import print_trained
from flows.modelling.labelled import labelled_frame
from flows.modelling.lineage import DataLineage, data_lineage, registration
from flows.modelling.promotion import NotComparable, Verdict, compare_with_champion, judge, promote, roll_back
from flows.modelling.train import TrainSummary
from flows.project.project import Project
from flows.project.settings import ModelSettings
from flows.tagging.tag import tag
from models.inputs.splits import splits_of
from models.lifecycle.card import CARD, OutdatedModel, read_card
from models.lifecycle.weights import WEIGHTS
from schemas.errors import UserError


def champion(project: Project) -> str:
    found = project.catalog.champion()
    assert found is not None
    return found.model_version


def labelled_data(project: Project) -> DataLineage:
    return data_lineage(labelled_frame(project), project.taxonomy.names)


def register_twin(project: Project, version: str, *, heads: float = 1.0, compiled: bool = True) -> Path:
    """Registers a copy of the champion, heads and pool multiplied by `heads`; returns its folder."""
    folder = project.home / "models" / version
    shutil.copytree(project.model_folder(), folder, ignore=None if compiled else shutil.ignore_patterns("engines"))
    weights = load_file(folder / WEIGHTS)
    says = ("heads.", "pool")
    save_file({name: w * heads if name.startswith(says) else w for name, w in weights.items()}, folder / WEIGHTS)
    change_card(folder, version=version, weights=sha256((folder / WEIGHTS).read_bytes()).hexdigest())
    project.catalog.register_model(registration(project, read_card(folder), labelled_data(project), seconds=1.0))
    return folder


def change_card(folder: Path, **changes: object) -> None:
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    (folder / CARD).write_text(json.dumps({**card, **changes}), encoding="utf-8")


def with_model_settings(project: Project, **changes: object) -> Project:
    model = ModelSettings(**{**project.settings.model.model_dump(), **changes})
    return replace(project, settings=project.settings.model_copy(update={"model": model}))


def state(project: Project, version: str) -> str:
    return next(row.state for row in project.catalog.models() if row.model_version == version)


def shown(project: Project, verdict: Verdict) -> str:
    console = Console(width=200)
    with console.capture() as printed:
        print_trained(console, TrainSummary(project.model().card, verdict))
    return printed.get()


def test_the_first_model_knows_where_it_comes_from(trained: Path) -> None:
    project = Project.open(trained)
    (row,) = project.catalog.models()
    assert (row.state, row.parent, row.pretrained, row.refused) == ("champion", None, None, None)
    assert row.data_hash == labelled_data(project).hash
    frame = project.catalog.listings()
    split = splits_of(frame["feed"].to_list(), frame["product_id"].to_list())
    assert row.data["sample"]["train"] == (split == "train").sum()  # every listing of the sample is labelled
    assert row.config["preset"]["name"] == "small"
    assert row.config["preset"]["seed"] == 0
    assert set(row.config["taxonomy"]["values"]) == set(project.taxonomy.names)
    assert row.seconds > 1
    assert row.code_version
    assert [made.reason for made in project.catalog.promotions()] == ["the first model"]


def test_a_model_that_is_not_worse_is_promoted_and_rolled_back(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = champion(project)
    register_twin(project, "twin", compiled=False)
    verdict = judge(project, "twin")
    assert verdict.promoted
    assert verdict.comparison is not None
    assert verdict.comparison.accuracy.mean == verdict.comparison.recall.mean == 0.0
    assert verdict.comparison.products > 40
    assert champion(project) == "twin"
    assert state(project, first) == "retired"
    assert f"it is the champion now: not worse than {first}" in shown(project, verdict)
    back = roll_back(project)
    assert (back.model_version, back.backend, back.trouble) == (first, "openvino", None)
    assert champion(project) == first
    again = promote(project, "twin")
    assert (again.model_version, again.trouble) == ("twin", "has not been compiled")
    assert project.model_folder().name == "twin"


def test_a_worse_model_is_refused_with_reasons_and_promoted_by_hand(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = champion(project)
    register_twin(project, "spoiled", heads=0.0)  # says the same of every listing
    verdict = judge(project, "spoiled")
    assert not verdict.promoted
    assert "accuracy may be" in verdict.reason
    assert champion(project) == first
    assert state(project, "spoiled") == "refused"
    text = shown(project, verdict)
    assert f"against it: {verdict.reason.split('; ')[0]}" in text
    assert f"{first} stays the champion" in text
    assert "cma models promote" in text
    row = next(row for row in project.catalog.models() if row.model_version == "spoiled")
    assert row.comparison is not None
    assert row.comparison["champion"] == row.parent == first
    assert row.comparison["objections"] == row.refused.split("; ")
    promote(project, "spoiled")
    assert champion(project) == "spoiled"


def test_nothing_is_promoted_where_the_settings_say_never(project_copy: Path) -> None:
    project = with_model_settings(Project.open(project_copy), promote="never")
    first = champion(project)
    register_twin(project, "twin")
    verdict = judge(project, "twin")
    assert (verdict.promoted, verdict.reason) == (False, "model.promote is never")
    assert champion(project) == first
    assert state(project, "twin") == "candidate"


def test_models_of_different_values_are_not_compared(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = champion(project)
    folder = register_twin(project, "other")
    taxonomy = json.loads((folder / CARD).read_text(encoding="utf-8"))["taxonomy"]
    taxonomy["color"]["values"].popitem()
    change_card(project.model_folder(first), taxonomy=taxonomy)
    verdict = judge(project, "other")
    assert not verdict.promoted
    assert f"{first} was trained for other attributes or values" in verdict.reason
    assert verdict.comparison is None
    assert state(project, "other") == "refused"
    change_card(folder, taxonomy=taxonomy)
    with pytest.raises(NotComparable, match="other was trained for another taxonomy than this project's"):
        compare_with_champion(project, "other")


def test_a_damaged_champion_is_reported_and_can_be_replaced(project_copy: Path) -> None:
    project = Project.open(project_copy)
    register_twin(project, "twin")
    (project.model_folder() / WEIGHTS).write_bytes(b"damaged")
    verdict = judge(project, "twin")
    assert not verdict.promoted
    assert "cannot be compared with the champion" in verdict.reason
    assert "SHA-256" in verdict.reason
    assert promote(project, "twin").model_version == champion(project) == "twin"
    with pytest.raises(UserError, match="SHA-256"):  # the one before is as damaged as it was
        roll_back(project)
    assert champion(project) == "twin"


def test_an_incomplete_model_is_not_promoted(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = champion(project)
    folder = register_twin(project, "twin")
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(UserError, match="not the file that was trained"):
        promote(project, "twin")
    shutil.rmtree(folder)
    with pytest.raises(UserError, match="holds no model"):
        promote(project, "twin")
    with pytest.raises(UserError, match="no champion before this one"):
        roll_back(project)
    with pytest.raises(UserError, match=f"no other champion to compare {first} with"):
        compare_with_champion(project, first)
    assert champion(project) == first


def test_a_champion_of_another_version_cannot_tag_and_is_replaced(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = champion(project)
    register_twin(project, "twin", compiled=False)
    change_card(project.model_folder(first), format=1)
    with pytest.raises(OutdatedModel, match=r"train again with `cma train`"):
        tag(project)
    never = judge(with_model_settings(project, promote="never"), "twin")
    assert (never.promoted, never.reason, champion(project)) == (False, "model.promote is never", first)
    verdict = judge(project, "twin")
    assert verdict.promoted
    assert f"{first} is of another version" in verdict.reason
    assert champion(project) == "twin"
