"""Layouts of published data sets: their settings, examples and presets."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.cli.init.starter import write_starter
from flows.project.project import Project
from models.training.presets import PRESETS
from schemas.errors import ConfigurationError, UserError
from schemas.taxonomy import Taxonomy
from tests.catalog_io.feeds.published.published_files import FOOD_TEST, FOOD_TRAIN, food_101, read
from tests.places import EXAMPLES


def test_settings_that_do_not_fit_a_layout(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"feeds\.f\.layout.*'food'; there are upmc-food-101, fashion-gen"):
        read("food", tmp_path)
    with pytest.raises(ConfigurationError, match=r"feeds\.f\.delimiter: the layout fashion-gen has none"):
        read("fashion-gen", tmp_path, delimiter=";")
    food_101(tmp_path, FOOD_TRAIN, FOOD_TEST)
    with pytest.raises(UserError, match=r"there is no column 'dish'; the columns are: file, title, label"):
        read("upmc-food-101", tmp_path, labels={"food": "dish"})


def test_init_knows_a_published_data_set(tmp_path: Path) -> None:
    food_101(tmp_path / "data", FOOD_TRAIN, FOOD_TEST)
    with pytest.raises(UserError, match=r'layout = "upmc-food-101".*published-data\.md'):
        write_starter(tmp_path / "project", str(tmp_path / "data"))


@pytest.mark.parametrize(
    ("name", "taxonomy", "attribute", "values"),
    [
        ("food-101", "taxonomy.yaml", "food", 101),
        ("fashion-gen", "taxonomy.yaml", "subcategory", 121),
        ("fashion-gen", "category.yaml", "category", 48),
    ],
)
def test_the_examples_fit_the_published_labels(name: str, taxonomy: str, attribute: str, values: int) -> None:
    project = Project.open(EXAMPLES / name / "cma.toml")
    (feed,) = project.settings.feeds.values()
    assert feed.images == feed.source
    assert project.settings.model.preset == name
    known = Taxonomy.load(EXAMPLES / name / taxonomy)
    assert [(a.name, len(a.value_names)) for a in known.attributes] == [(attribute, values)]


@pytest.mark.parametrize("name", ["food-101", "fashion-gen"])
def test_presets_have_the_papers_schedule(name: str) -> None:
    paper, preset = PRESETS["vit-b-32"], PRESETS[name]
    assert (preset.name, preset.architecture, preset.pretrained) == (name, paper.architecture, "openai")
    warm_up, end_to_end, _ = paper.stages  # the paper trains both without tuning
    stages = (replace(warm_up, epochs=100), replace(end_to_end, epochs=300))
    assert (preset.stages, preset.batch, preset.weight_decay) == (stages, 1024, 1e-4)
