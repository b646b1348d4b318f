from pathlib import Path

import pytest

from flows.project.resumable import resumable
from schemas.errors import UserError


def interrupted(models: Path, *identity: str) -> Path:
    """A training that wrote something and was stopped."""
    with pytest.raises(KeyboardInterrupt), resumable(models, *identity, what="training") as folder:
        (folder / "titles.safetensors").write_text("learned")
        raise KeyboardInterrupt
    return folder


def test_the_same_training_finds_its_folder_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = interrupted(tmp_path / "models", "preset", "data")
    with resumable(tmp_path / "models", "preset", "data", what="training") as folder:
        assert folder == first and (folder / "titles.safetensors").read_text() == "learned"
    assert "resuming the training that was interrupted" in capsys.readouterr().err


def test_another_training_starts_afresh_and_clears_away(tmp_path: Path) -> None:
    first = interrupted(tmp_path, "preset", "data of yesterday")
    (tmp_path / "20260101-000000-abcdef01").mkdir()
    with resumable(tmp_path, "preset", "data of today", what="training") as folder:
        assert folder != first and not list(folder.iterdir()) and not first.exists()
    assert (tmp_path / "20260101-000000-abcdef01").exists()


def test_two_trainings_do_not_run_side_by_side(tmp_path: Path) -> None:
    with (
        resumable(tmp_path, "a", what="training"),
        pytest.raises(UserError, match="another training is running"),
        resumable(tmp_path, "b", what="training"),
    ):
        raise AssertionError
