"""A model whose heads alone are trained: from stored features to a registered model that tags."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.commands import app
from flows.modelling.encoded import Encoder
from flows.modelling.labelled import labelled_frame
from flows.modelling.train_heads import train_heads
from flows.project.project import Project
from flows.tagging.tag import tag
from schemas.errors import UserError


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.heads._EPOCHS", (2, 2))


def test_heads_are_trained_on_the_features_that_tagging_stored(project_copy: Path) -> None:
    project = Project.open(project_copy)
    first = tag(project)
    source = project.model()
    done = train_heads(project, source.version)
    made, encoder = project.model(done.card.version), done.encoder
    assert encoder is not None and (encoder.source, encoder.engine, encoder.made) == (source.version, "openvino", 0)
    assert encoder.stored == sum(done.card.listings.values()) == 800
    assert made.encoder_key("openvino") == source.encoder_key("openvino") and made.card.weights != source.card.weights
    assert list(done.card.history) == ["heads"]
    assert done.card.feeds == ["sample"] and not done.card.certificates.feeds  # none on the reference engine
    built = made.engine_card("openvino")
    assert built is not None and built.gate.passed and list(built.certificates.feeds) == ["sample"]
    row = next(row for row in project.catalog.models() if row.model_version == made.version)
    assert row.parent == row.config["encoder_of"] == source.version
    assert f"encoder of | {source.version}" in (made.folder / "model-card.md").read_text(encoding="utf-8")

    project.catalog.promote(made.version, instead_of=project.catalog.champion().model_version, reason="a test")
    again = tag(project)
    assert (again.model_version, again.engine) == (made.version, "openvino")
    assert again.tagged == again.from_features == first.tagged


def test_a_model_of_another_project_is_adapted_to_other_values(trained: Path, project_copy: Path) -> None:
    source, config = Project.open(trained).model(), project_copy
    (config.parent / "taxonomy.yaml").write_text(
        yaml.safe_dump({name: body for name, body in source.card.taxonomy.to_dict().items() if name != "style"})
    )
    config.write_text(f'taxonomy = "taxonomy.yaml"\n{config.read_text(encoding="utf-8")}', encoding="utf-8")
    project = Project.open(config)
    with pytest.raises(UserError, match="there is no model 'nothing'"):
        train_heads(project, "nothing")
    done = train_heads(project, str(source.folder))
    labelled = labelled_frame(project)
    assert done.encoder is not None and (done.encoder.stored, done.encoder.made) == (0, labelled.height)
    assert done.card.taxonomy.names == ("color", "pattern")
    now = Encoder(project, source, "openvino")
    now.encode(labelled)
    assert (now.stored, now.made) == (labelled.height, 0)  # what was made was stored


def test_the_two_options_belong_together() -> None:
    for options in (["--heads"], ["--from", "x"]):
        found = CliRunner().invoke(app, ["train", *options])
        assert found.exit_code and "belong together" in str(found.exception)
