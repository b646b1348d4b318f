from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_io import feature_store as features
from catalog_io.feature_store import FeatureStore, read_features, write_features
from schemas.errors import UserError
from schemas.frames import ENCODED


def encoded(*hashes: str) -> pl.DataFrame:
    """Listings whose features are their input hash; those named `?…` have none."""
    rows = [
        ("shop", f"{n}", key, "", True, True, *((None, "broken") if key[0] == "?" else (key.encode(), None)))
        for n, key in enumerate(hashes)
    ]
    return pl.DataFrame(rows, schema=ENCODED, orient="row")


def found(store: FeatureStore) -> dict[str, bytes]:
    index = store.index()
    assert not index["input_hash"].is_duplicated().any()
    return {
        key: dict(read_features(store.folder / file).select("input_hash", "features").iter_rows())[key]
        for key, file in index.iter_rows()
    }


@settings(max_examples=30)
@given(
    parts=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), max_size=8),
    wanted=st.sets(st.integers(0, 40)),
)
def test_tidying_keeps_every_wanted_input_once(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]], wanted: set[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "FILE_ROWS", 10)
        patch.setattr(features, "FEWEST", 3)
        store = FeatureStore(tmp_path_factory.mktemp("home"), "encoder")
        for number, part in enumerate(parts):
            write_features(store.folder / f"{number}.parquet", encoded(*map(str, part)))
        before = found(store)
        assert before == {str(key): str(key).encode() for part in parts for key in part}
        store.tidy(pl.Series("input_hash", sorted(map(str, wanted)), pl.String))
        after = found(store)
        assert {key: value for key, value in before.items() if int(key) in wanted}.items() <= after.items()
        assert after.items() <= before.items()
        small = [path for path in store.folder.glob("*") if pl.read_parquet(path).height < 5]
        assert len(small) < 3 + 1  # a merge may leave one more


def test_a_listing_without_features_is_not_kept(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "encoder")
    write_features(store.folder / "a.parquet", encoded("one", "?two", "one"))
    write_features(store.folder / "b.parquet", encoded("?three"))
    assert found(store) == {"one": b"one"}
    assert [path.name for path in store.folder.iterdir()] == ["a.parquet"]


def test_a_kill_between_merging_and_removing_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FEWEST", 2)
    store = FeatureStore(tmp_path, "encoder")
    for name in "ab":
        write_features(store.folder / f"{name}.parquet", encoded(name, "both"))
    wanted = pl.Series(["a", "b", "both"])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
        store.tidy(wanted)
    expected = {"a": b"a", "b": b"b", "both": b"both"}
    assert found(store) == expected
    store.tidy(wanted)
    assert found(store) == expected and len(list(store.folder.glob("*.parquet"))) == 1


def test_a_damaged_file_is_removed_and_the_error_names_the_next_step(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "encoder")
    for name in "ab":
        write_features(store.folder / f"{name}.parquet", encoded(name))
    (store.folder / "a.parquet").write_bytes(b"PAR1 nothing")
    assert found(store) == {"b": b"b"}
    path = store.folder / "b.parquet"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"b\.parquet: these stored features were damaged and have been removed"):
        read_features(path)
    assert store.index().is_empty() and not path.exists()


def test_tidying_skips_a_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "FEWEST", 2)
    store = FeatureStore(tmp_path, "encoder")
    for name in "abc":
        write_features(store.folder / f"{name}.parquet", encoded(*(f"{name}{n}" for n in range(400))))
    path = store.folder / "b.parquet"
    content = bytearray(path.read_bytes())
    content[content.index(b"b77")] ^= 1  # one bit of one feature or key
    path.write_bytes(bytes(content))
    store.tidy(pl.Series([f"{name}{n}" for name in "abc" for n in range(400)]))
    assert set(store.index()["input_hash"]) == {f"{name}{n}" for name in "ac" for n in range(400)}
    (only,) = store.folder.glob("*.parquet")
    assert read_features(only).height == 800


def test_features_of_two_encoders_are_kept(tmp_path: Path) -> None:
    for encoder in ("first", "second", "third", "second"):
        store = FeatureStore(tmp_path, encoder)
        write_features(store.folder / "a.parquet", encoded("one"))
        store.tidy(pl.Series(["one"]))
    assert {folder.name for folder in (tmp_path / "features").iterdir()} == {"second", "third"}
