"""References are shown as `redacted_reference` shows them; most are recognised without it."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from catalog_io.staging.staging import _shown
from schemas.secrets import redacted_reference

PARTS = (
    *(
        "https://",
        "s3://",
        "//",
        "/",
        "shop.example",
        "a.jpg",
        "my a",
        "?v=1",
        "?",
        "#",
        "@",
        ":",
        "ann:pa55@",
        "%3F",
        "%20",
        "%C3%A9",
        "%23",
        "%2F%2F",
    ),
    *(
        "eyJhbGciOiJIUzI1NiJ9",
        "/token/",
        "s--AbCd--",
        "\\",
        ";a=b",
        "=",
        "é",
        "\n",
        " ",
        ".",
        "~",
        "-",
        ":8080",
        "x" * 43,
    ),
)


@given(st.lists(st.lists(st.sampled_from(PARTS), max_size=8).map("".join) | st.text(), max_size=5))
def test_references_are_shown_without_secrets(uris: list[str]) -> None:
    assert _shown(pl.Series(uris, dtype=pl.String)).to_list() == list(map(redacted_reference, uris))
