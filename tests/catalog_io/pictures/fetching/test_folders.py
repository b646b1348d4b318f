"""Pictures of a local folder: which files can be read, and that nothing outside can."""

import os
import socket
from pathlib import Path

import pytest

from catalog_io.pictures.fetching.fetched import Fetched
from catalog_io.pictures.fetching.root import PictureRoot
from schemas.errors import UserError
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sub.jpg").mkdir(parents=True)
    (root / "a.jpg").write_bytes(b"picture")
    (root / "C:\\pics\\a.jpg").write_bytes(b"picture")
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (root / "out.jpg").symlink_to("../secret.jpg")
    (root / "outside").symlink_to(tmp_path)
    (root / "in.jpg").symlink_to("a.jpg")
    (root / "circle.jpg").symlink_to("circle.jpg")
    os.mkfifo(root / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(root / "s.jpg"))
    return root


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("", "picture_not_found"),
        ("none.jpg", "picture_not_found"),
        ("a.jpg/b.jpg", "picture_not_found"),
        ("circle.jpg", "picture_not_found"),
        ("nul\0.jpg", "picture_not_found"),
        ("half a letter \udc80.jpg", "picture_not_found"),
        ("x" * 5000, "picture_not_found"),
        ("../secret.jpg", "picture_outside_root"),
        ("sub.jpg/../../secret.jpg", "picture_outside_root"),
        ("../root2/a.jpg", "picture_outside_root"),
        ("/etc/passwd", "picture_outside_root"),
        ("out.jpg", "picture_outside_root"),
        ("outside/secret.jpg", "picture_outside_root"),
        ("sub.jpg", "picture_not_a_file"),
        (".", "picture_not_a_file"),
        ("pipe.jpg", "picture_not_a_file"),
        ("s.jpg", "picture_not_a_file"),
        ("file:///etc/passwd", "picture_scheme_not_allowed"),
        ("FILE:/etc/passwd", "picture_scheme_not_allowed"),
        ("data:image/png;base64,AAAA", "picture_scheme_not_allowed"),
        ("ftp://u:pa55@example.com/a.jpg", "picture_scheme_not_allowed"),
        ("gopher://example.com/a.jpg", "picture_scheme_not_allowed"),
        ("s3://bucket/a.jpg", "picture_scheme_not_allowed"),
        ("simplecache::s3://bucket/a.jpg", "picture_scheme_not_allowed"),
    ],
)
def test_references_that_are_no_file(folder: Path, uri: str, code: str) -> None:
    assert code_of(lambda: PictureRoot(str(folder), OPEN).read(uri)) == code


def test_files_below_the_root(folder: Path) -> None:
    root = PictureRoot(str(folder), OPEN)
    for uri in ("a.jpg", "./sub.jpg/../a.jpg", "in.jpg", str(folder / "a.jpg"), "C:\\pics\\a.jpg"):
        fetched = root.read(uri)
        assert fetched == Fetched(b"picture", root.stamp(uri) or "none")
        assert root.read(uri, fetched.stamp) is None
    assert PictureRoot(f"file://{folder}", OPEN).read("a.jpg") == root.read("a.jpg")
    root.check()


def test_a_stamp_changes_with_the_file(folder: Path) -> None:
    root = PictureRoot(str(folder), OPEN)
    before = root.stamp("a.jpg")
    assert before == root.stamp("a.jpg") and before
    os.utime(folder / "a.jpg", ns=(1, 1))
    assert root.stamp("a.jpg") == "1-7" != before
    assert root.read("a.jpg", before) == Fetched(b"picture", "1-7")
    for uri in ("", "none.jpg", "sub.jpg", "pipe.jpg", "nul\0", "x" * 5000, "half \udc80"):
        assert root.stamp(uri) == ""
    for uri in ("https://example.com/a.jpg", "s3://bucket/a.jpg"):
        assert root.stamp(uri) is None
    assert PictureRoot("https://example.com/", OPEN).stamp("a.jpg") is None


def test_too_large_a_file_is_not_read(folder: Path) -> None:
    with open(folder / "huge.jpg", "wb") as file:
        file.truncate(100_001)
    assert code_of(lambda: PictureRoot(str(folder), OPEN).read("huge.jpg")) == "picture_too_many_bytes"


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ("/no/such/folder", "there is no such folder"),
        ("nonsense://u:pa55@host/x", "cannot be opened"),
        ("http://u:pa55@127.0.0.2:1/", "not public"),
        ("http://u:pa55@127.0.0.1:1/", "connection"),
        ("http://no.such.host.invalid/", "no host"),
        ("http://[nonsense/", "not a usable URL"),
        ("memory://none/", "there is no such folder"),
    ],
)
def test_roots_that_cannot_be_used(root: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as fault:
        PictureRoot(root, OPEN).check()
    assert "pa55" not in str(fault.value)


def test_a_root_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install gcsfs to access Google Storage")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(UserError, match=r"cma-tagger\[gs\]"):
        PictureRoot("gs://bucket/x", OPEN).check()
