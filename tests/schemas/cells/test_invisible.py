import unicodedata

import polars as pl

from schemas.cells.invisible import BLANK, UNCLEAN, is_blank, visible, visible_title

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"


def test_ids_and_names_lose_what_nobody_sees() -> None:
    assert visible("\ufeffid\u200b") == "id"
    assert visible("\u200eA\u00ad1\u2060 ") == "A1"
    assert visible("A\u00a01") == "A 1"
    assert visible("A\ufe0f1\U000e0041") == "A1"
    assert visible("u\u0308ber") == "über"
    assert visible("a\tb") == "a\tb"
    assert visible("\u202eA") == "\u202eA"  # which is rejected


def test_titles_keep_joiners_that_shape_letters() -> None:
    assert visible_title("Red\u00addish \ufeffdress") == "Reddish dress"
    assert visible_title(f"{FAMILY} shirt") == f"{FAMILY} shirt"
    assert (
        visible_title("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645")
        == "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    )
    assert visible_title("\u200dred\u200cdress\u200d") == "reddress"
    assert visible_title("Red \u2764\ufe0f") == "Red \u2764\ufe0f"
    assert visible_title("Ro\u0308d") == "Röd"


def test_text_that_shows_nothing() -> None:
    for text in ("", " ", "\u200b", "\u2800", "\u3164\u115f", "\u0301", "\u2028", "\u00ad \u200d"):
        assert is_blank(text)
    for text in ("a", "-", "\ufffd", "\x07", "가"):
        assert not is_blank(text)


def test_the_patterns_of_polars_match_every_letter_that_the_functions_change() -> None:
    letters = [chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000]
    frame = pl.DataFrame({"letter": letters}).with_columns(
        unclean=pl.col("letter").str.contains(UNCLEAN), blank=pl.col("letter").str.contains(f"^{BLANK}$")
    )
    changed = [c for c in letters if visible_title(c) != c or unicodedata.normalize("NFC", f"a{c}") != f"a{c}"]
    assert set(changed) <= set(frame.filter("unclean")["letter"])
    blank = {c for c in letters if is_blank(c)}
    assert blank <= set(frame.filter("blank")["letter"])
