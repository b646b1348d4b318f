from pathlib import Path

from flows.project.disk import Usage, usage


def test_each_file_belongs_to_one_part(tmp_path: Path) -> None:
    sizes = {"work.duckdb": 10, "work.duckdb.wal": 5, "pictures/a.parquet": 40, "models/m/x": 7, "models/n": 1, "b": 2}
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert usage(tmp_path) == [
        Usage("pictures", 1, 40),
        Usage("catalogue", 2, 15),
        Usage("models and their engines", 2, 8),
        Usage("other", 1, 2),
    ]
    assert usage(tmp_path / "nowhere") == []
