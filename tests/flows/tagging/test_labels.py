"""A flag follows the label that it contradicts: at the next night, from kept features, without an engine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
import yaml

from catalog_io.catalog.snapshot import query
from flows.ingestion.ingest import ingest
from flows.project.project import Project
from flows.tagging.tag import tag
from schemas.attribute import fold
from tests.flows.tagging.labelled import conflicts, edit_labels, flag_conflicts, set_label, stored, tag_of


@pytest.fixture(scope="module")
def tagged_once(trained: Path, tmp_path_factory: pytest.TempPathFactory, picture_workers: str) -> Path:
    """The trained project, every conflict of a label flagged."""
    folder = tmp_path_factory.mktemp("labels") / "project"
    shutil.copytree(trained.parent, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMA_TAG__DASK", picture_workers)
        project = Project.open(folder / "cma.toml")
        flag_conflicts(project, 0.0)
        tag(project)
    return folder


@pytest.fixture
def project(tagged_once: Path, tmp_path: Path, shared_workers: None) -> Project:
    shutil.copytree(tagged_once, tmp_path / "project")
    return Project.open(tmp_path / "project" / "cma.toml")


def night(project: Project, *, selected: int) -> None:
    """Tags; what is selected needs no engine, and then nothing is left."""
    summary = tag(project)
    assert (summary.selected, summary.tagged, summary.from_features) == (selected, selected, selected)
    assert tag(project).selected == 0


def test_a_corrected_label_removes_its_flag_and_a_wrong_one_raises_it(project: Project) -> None:
    flagged, detail = next(iter(conflicts(project).items()))
    value = tag_of(project, flagged)
    assert detail.endswith(f"tagged {value}")
    shown = "select * from tagged_listings order by all"
    tags, before = query(project.home, shown), conflicts(project)

    set_label(project.config, flagged, color=value.upper())
    ingest(project)
    assert conflicts(project) == {listing: text for listing, text in before.items() if listing != flagged}
    assert query(project.home, shown).equals(tags)  # a tag does not depend on the merchant's label
    night(project, selected=1)
    assert conflicts(project) == {listing: text for listing, text in before.items() if listing != flagged}

    wrong = "Red" if value != "red" else "Blue"
    set_label(project.config, flagged, color=wrong)
    ingest(project)
    night(project, selected=1)
    assert conflicts(project) == before | {flagged: f"labelled {wrong.lower()}, tagged {value}"}
    assert query(project.home, shown).equals(tags)


def test_an_emptied_label_removes_its_flag(project: Project) -> None:
    before = conflicts(project)
    assert before
    edit_labels(project.config, lambda row: row.update(color="") if row["listing_id"] in before else None)
    ingest(project)
    assert conflicts(project) == {}
    night(project, selected=len(before))
    assert conflicts(project) == {}


def test_another_word_for_the_same_value_tags_nothing_again(project: Project) -> None:
    words = {value: value.upper() for value in project.taxonomy["pattern"].value_names}
    edit_labels(project.config, lambda row: row.update(pattern=words.get(row["pattern"].lower(), row["pattern"])))
    ingest(project)
    assert tag(project).selected == 0


def test_another_meaning_of_a_word_is_flagged_without_an_ingest(project: Project) -> None:
    sql = "select word, value from labels where attribute = 'color' and lower(word) <> value order by all"
    word, value = query(project.home, sql).row(0)
    users = query(project.home, f"select listing_id from labels where attribute = 'color' and word = '{word}'")
    taxonomy = project.taxonomy.to_dict()
    words = taxonomy["color"]["values"]
    other = next(name for name in words if name != value)
    words[value] = [known for known in words[value] if fold(known) != fold(word)]
    words[other].append(word)
    path = project.config.parent / "taxonomy.yaml"
    path.write_text(yaml.safe_dump(taxonomy, sort_keys=False), encoding="utf-8")
    text = project.config.read_text(encoding="utf-8")
    project.config.write_text(f'taxonomy = "{path.name}"\n{text}', encoding="utf-8")
    project = Project.open(project.config)
    night(project, selected=users.height)
    found = conflicts(project)
    for listing in users.to_series():
        own = tag_of(project, listing)
        assert found.get(listing) == (None if own == other else f"labelled {other}, tagged {own}")


def test_an_older_warehouse_is_tagged_anew_once_from_features(project: Project) -> None:
    before, shown = stored(project), conflicts(project)
    with duckdb.connect(str(project.home / "work.duckdb")) as connection:
        for table in ("tags", "noise_flags"):
            for column in ("fingerprint", "rules"):
                connection.execute(f"alter table {table} drop column {column}")
    project = Project.open(project.config)
    project.catalog.publish()
    assert conflicts(project) == {}  # nobody knows by which labels they were raised
    night(project, selected=800)
    assert conflicts(project) == shown
    for now, then in zip(stored(project), before, strict=True):
        assert now.select(sorted(now.columns)).equals(then.select(sorted(then.columns)))


def test_other_rules_of_the_same_model_tag_anew(project: Project) -> None:
    flag_conflicts(project, 1.0)
    night(project, selected=800)
    assert conflicts(project) == {}


KILLED = """
import os, pathlib, sys
from catalog_io.catalog.catalog import Catalog
from flows.project.project import Project
from flows.tagging.tag import tag
Catalog.store_tagged = lambda *_, **__: os.kill(os.getpid(), 9)  # all units are written, nothing is stored
tag(Project.open(pathlib.Path(sys.argv[1])))
"""


def test_a_killed_night_whose_labels_then_change_equals_an_undisturbed_one(project_copy: Path) -> None:
    flag_conflicts(Project.open(project_copy), 0.0)
    whole = project_copy.parent.parent / "whole" / "cma.toml"
    shutil.copytree(project_copy.parent, whole.parent)
    done = subprocess.run([sys.executable, "-c", KILLED, str(project_copy)], env=os.environ, check=False)
    assert done.returncode == -9
    killed = Project.open(project_copy)
    assert killed.catalog.counts()["tags"] == 0
    assert len(list(killed.home.glob("partitions/*/out/*.parquet"))) == 13  # units of 64 listings

    def swap(row: dict[str, str]) -> None:
        if row["listing_id"].endswith(("1", "5")):
            row.update(color="Blue" if row["color"] != "Blue" else "", style="")

    for config in (project_copy, whole):
        edit_labels(config, swap)
        ingest(Project.open(config))
    killed, undisturbed = Project.open(project_copy), Project.open(whole)
    again, first = tag(killed), tag(undisturbed)
    assert (again.selected, again.from_features, first.from_features) == (800, 800, 0)
    assert again.flags == first.flags and conflicts(killed) == conflicts(undisturbed) != {}
    for one, other in zip(stored(killed), stored(undisturbed), strict=True):
        assert one.height and one.equals(other)
