"""References as rows write them: paths below a root, and the keys of pictures."""

import os
import time

from hypothesis import given
from hypothesis import strategies as st

from catalog_io.pictures.fetching.references import below, picture_key, shown


@given(
    st.text()
    | st.lists(st.sampled_from(["..", ".", "a", "", "%2e%2e", "%252e%252e", "..\\", "%2f", "/"])).map("/".join)
)
def test_no_path_leads_out_of_the_folder(path: str) -> None:
    name = below("/top", path)
    if name is not None:
        for decoded in (name, name.replace("%252e", ".").replace("%2e", ".").replace("%2f", "/")):
            assert os.path.normpath(f"/top/{decoded}".replace("\\", "/")).startswith("/top")


def test_names_in_stores() -> None:
    assert below("/x", "a/./b/../c.jpg") == "a/c.jpg"
    assert below("/x", "/x/a.jpg") == below("/x/", "a.jpg") == "a.jpg"
    assert below("", "//evil/a.jpg") == "/evil/a.jpg"
    assert below("/x", "a//b%20c%.jpg") == "a//b%20c%.jpg"
    for path in (
        "/y/a.jpg",
        "/xy/a.jpg",
        "..",
        "%2E%2e/a",
        "a/..%2f..%2fb",
        "..%5cb",
        "a%2fb/../../c",
        "%25252e%25252e/a",
    ):
        assert below("/x", path) is None


def test_keys() -> None:
    assert picture_key("a.jpg") == "cde2f4fce9daad975ab1202fd69b5951"
    assert len(picture_key("a.jpg")) == 32 and picture_key("a.jpg") != picture_key("A.jpg")
    plain = "https://cdn.example/a.jpg"
    for same in (
        "https://ann:pa55@cdn.example/a.jpg",
        plain + "?X-Amz-Algorithm=A&X-Amz-Signature=b&x-amz-date=3",
        plain + "?X-Goog-Signature=b",
        plain + "?Expires=3&Signature=b&Key-Pair-Id=K",
        plain + "?AWSAccessKeyId=K&Signature=b&Expires=3",
        plain + "?sv=2022&sr=b&sp=r&se=2026&sig=x%3D",
    ):
        assert picture_key(same) == picture_key(plain)
    signed = plain + "?w=3&sv=1&sig=x"
    assert picture_key(signed) == picture_key(plain + "?w=3") != picture_key(plain)
    for other in ("?Expires=3", "?Signature=b", "?se=1", "?sig=1", "?token=a", "#top"):
        assert picture_key(plain + other) != picture_key(plain)


@given(st.text(), st.text())
def test_keys_are_stable_for_any_text(user: str, rest: str) -> None:
    assert picture_key(rest) == picture_key(rest) and len(picture_key(f"https://{rest}")) == 32
    user = user.translate({ord(letter): None for letter in "/\\?#"})
    assert picture_key(f"https://{user}@cdn.example/{rest}") == picture_key(f"https://cdn.example/{rest}")


def test_keys_of_paths_are_fast() -> None:
    began = time.perf_counter()
    for _ in range(50_000):
        picture_key("images/0111586001.jpg")
    assert time.perf_counter() - began < 1  # 1 µs each, as a rule; room for a busy machine


def test_urls_that_differ_in_their_query_are_two_pictures_though_they_are_shown_alike() -> None:
    urls = [f"https://x/a.jpg?v={number}" for number in (1, 2)] + ["https://x/a.jpg"]
    assert len(set(map(picture_key, urls))) == 3
    assert {shown(url) for url in urls} == {"https://x/a.jpg"}
