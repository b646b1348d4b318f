"""A run that may not tag everything leaves the rest to the next one, and counts it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.project.project import Project
from flows.tagging import tag as tag_step
from flows.tagging.tag import tag
from schemas.errors import ConfigurationError


def test_a_limit_leaves_the_rest_to_the_next_run(project_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project.open(project_copy)
    every = project.catalog.counts()["listings"]
    first = tag(project, limit=100)
    assert (first.selected, first.tagged, first.left) == (100, 100, every - 100)

    monkeypatch.setattr(tag_step, "_SLICE", 150)
    soon = (datetime.now() + timedelta(minutes=60)).strftime("%H:%M")
    second = tag(project, limit=200, until=soon)  # in two slices, each of which is stored by itself
    assert (second.selected, second.tagged, second.left) == (200, 200, every - 300)
    assert second.flags_raised == second.flags

    class Late(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(hours=2 if tz else 0)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(tag_step, "datetime", Late)
        third = tag(project, until=soon)
    assert (third.selected, third.left) == (0, every - 300)
    last = tag(project)
    assert (last.selected, last.left) == (every - 300, 0)
    assert project.catalog.counts()["tags"] == every * len(project.taxonomy.names)


def test_a_time_that_is_none_is_refused(project_copy: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--until: 'six' is no time of day.*06:00"):
        tag(Project.open(project_copy), until="six")
