"""Pictures of an object store, and of any file system that fsspec opens."""

import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from catalog_io.pictures.fetching.root import PictureRoot
from schemas.errors import UserError
from schemas.pictures import PictureError
from tests.catalog_io.pictures.fetching.errors import OPEN, code_of


def test_policies_and_errors_can_be_sent_to_workers() -> None:
    assert pickle.loads(pickle.dumps(OPEN)) == OPEN  # noqa: S301
    error = pickle.loads(pickle.dumps(PictureError("picture_timeout", "https://u:pa55@x/ is slow")))  # noqa: S301
    assert (error.code, error.sentence) == ("picture_timeout", "https://x/ is slow")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    import boto3
    from moto.server import ThreadedMotoServer

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        for name in ("shop", "other"):
            client.create_bucket(Bucket=name)
            client.put_object(Bucket=name, Key="pictures/a.jpg", Body=b"picture")
        client.put_object(Bucket="shop", Key="pictures/empty.jpg", Body=b"")
        client.put_object(Bucket="shop", Key="pictures/huge.jpg", Body=bytes(100_001))
        client.put_object(Bucket="shop", Key="pictures/100% ä.jpg", Body=b"picture")
        client.put_object(Bucket="shop", Key="pictures/sub/b.jpg", Body=b"picture")
        yield client
        server.stop()


def test_a_bucket_as_root(bucket: Any) -> None:
    with PictureRoot("s3://shop/pictures/", OPEN) as root:
        root.check()
        fetched = root.read("a.jpg")
        assert fetched and fetched.data == b"picture" and fetched.stamp
        for uri in ("./sub/../a.jpg", "s3://shop/pictures/a.jpg", "100% ä.jpg", "/a.jpg", "\\a.jpg", "a.jpg\u200b"):
            assert root.read(uri) == fetched
        assert root.read("a.jpg", fetched.stamp) is None and root.stamp("a.jpg") is None
        assert root.read("empty.jpg", fetched.stamp) is not None
        bucket.put_object(Bucket="shop", Key="pictures/a.jpg", Body=b"another")
        again = root.read("a.jpg", fetched.stamp)
        assert again and again.data == b"another" and again.stamp != fetched.stamp


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ("none.jpg", "picture_not_found"),
        ("x" * 2000, "picture_not_found"),
        ("nul\0", "picture_not_found"),
        ("huge.jpg", "picture_too_many_bytes"),
        ("sub", "picture_not_a_file"),
        ("../a.jpg", "picture_outside_root"),
        ("/other/pictures/a.jpg", "picture_outside_root"),
        ("s3://other/pictures/a.jpg", "picture_outside_root"),
        ("s3://shop/pictures/../x.jpg", "picture_outside_root"),
        ("s3://shop/pictures2/a.jpg", "picture_outside_root"),
        ("s3a://other/a.jpg", "picture_scheme_not_allowed"),
        ("gs://other/a.jpg", "picture_scheme_not_allowed"),
        ("file:///etc/passwd", "picture_scheme_not_allowed"),
        ("http://127.0.0.2/", "picture_address_not_allowed"),
    ],
)
def test_references_that_are_not_in_the_bucket(bucket: Any, uri: str, code: str) -> None:
    with PictureRoot("s3://shop/pictures", OPEN) as root:
        assert code_of(lambda: root.read(uri)) == code


def test_a_bucket_that_is_not_there(bucket: Any) -> None:
    for uri in ("s3://none/", "s3://shop/none/"):
        with pytest.raises(UserError):
            PictureRoot(uri, OPEN).check()


def test_a_store_without_content_marks() -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/pictures/a.jpg", b"picture")
    with PictureRoot("memory://pictures", OPEN) as root:
        root.check()
        fetched = root.read("a.jpg")
        assert fetched and fetched.data == b"picture" and fetched.stamp.endswith("-7")
        assert root.read("a.jpg", fetched.stamp) is None
    memory.rm("/pictures", recursive=True)
