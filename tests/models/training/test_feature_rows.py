"""Rows on disk by key: appended whole, shared by processes, of bounded size."""

import os
from pathlib import Path

import numpy as np
import pytest

from models.training.saved.feature_rows import FeatureRows
from schemas.errors import UserError

BYTES = 2 * 3  # of a row


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def rows_in(folder: Path, *, most_bytes: int = 10**6) -> FeatureRows:
    return FeatureRows(folder, shape=(3,), most_bytes=most_bytes)


def add(rows: FeatureRows, *numbers: int) -> list[int]:
    """Adds a row of each number; returns the numbers whose rows were computed."""
    computed: list[int] = []

    def compute(places: list[int]) -> np.ndarray:
        computed.extend(numbers[place] for place in places)
        return np.array([[numbers[place]] * 3 for place in places], dtype=np.float32)

    rows.add([key(number) for number in numbers], compute)
    return computed


def test_a_row_is_computed_once_whoever_asks(tmp_path: Path) -> None:
    one, other = rows_in(tmp_path / "a"), rows_in(tmp_path / "a")
    assert add(one, 5, 6, 5) == [5, 6] or add(one, 5, 6, 5) == []
    assert add(other, 6, 7) == [7]  # it learns of the other process's rows under the lock
    assert add(one, 7, 5) == []
    assert one[[key(7), key(5), key(7)]].tolist() == [[7] * 3, [5] * 3, [7] * 3]
    assert key(6) in rows_in(tmp_path / "a") and key(8) not in rows_in(tmp_path / "a")


def test_numbers_beyond_half_precision_are_its_largest(tmp_path: Path) -> None:
    rows = rows_in(tmp_path / "a")
    rows.add([key(1)], lambda places: np.array([[1e6, -1e6, 0.5]], dtype=np.float32))
    assert rows[[key(1)]].tolist() == [[65504.0, -65504.0, 0.5]]


@pytest.mark.parametrize("left_behind", [("rows", 4), ("rows", 10), ("keys", 7)])
def test_what_a_killed_run_left_behind_is_written_over(tmp_path: Path, left_behind: tuple[str, int]) -> None:
    add(rows_in(tmp_path / "a"), 1, 2)
    file, size = left_behind
    with (tmp_path / "a" / file).open("ab") as torn:
        torn.write(b"x" * size)
    rows = rows_in(tmp_path / "a")
    assert add(rows, 1, 3) == [3]
    assert rows_in(tmp_path / "a")[[key(2), key(3)]].tolist() == [[2] * 3, [3] * 3]


def test_what_does_not_fit_is_left_out(tmp_path: Path) -> None:
    rows = rows_in(tmp_path / "a", most_bytes=2 * (BYTES + 16) + 5)
    assert add(rows, 1, 2, 3) == [1, 2]
    assert add(rows, 3) == []
    assert key(3) not in rows and key(2) in rows
    assert sum(file.stat().st_size for file in (tmp_path / "a").iterdir()) <= 2 * (BYTES + 16)


def test_rows_that_were_used_longest_ago_make_room(tmp_path: Path) -> None:
    for age, name in enumerate(("old", "older", "new")):
        add(rows_in(tmp_path / name), 1, 2)
        os.utime(tmp_path / name / "keys", (1000 - 100 * age if name != "new" else 2000,) * 2)
    rows = rows_in(tmp_path / "mine", most_bytes=6 * (BYTES + 16))
    assert add(rows, 1, 2) == [1, 2]
    assert sorted(place.name for place in tmp_path.iterdir()) == ["mine", "new", "old"]
    reopened = rows_in(tmp_path / "old", most_bytes=6 * (BYTES + 16))
    assert add(reopened, 3, 4) == [3, 4]
    assert sorted(place.name for place in tmp_path.iterdir()) == ["mine", "old"]


def test_a_folder_that_was_removed_meanwhile_begins_anew(tmp_path: Path) -> None:
    rows = rows_in(tmp_path / "a")
    add(rows, 1, 2)
    for file in (tmp_path / "a").iterdir():
        file.unlink()
    (tmp_path / "a").rmdir()
    assert rows[[key(1)]].tolist() == [[1] * 3]  # a process that reads them is not disturbed
    assert add(rows, 2, 3) == [2, 3]
    assert rows[[key(3)]].tolist() == [[3] * 3] and key(1) not in rows


def test_a_full_disk_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_in(tmp_path / "a")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match=r"no space for .*No space left on device.*model\.cache_gb"):
        add(rows, 1)
