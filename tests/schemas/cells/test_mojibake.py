"""Text in a wrong encoding is counted, and right text in any language is not."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.cells.mojibake import Garbled, garbled

RIGHT = [
    "été",
    "“PÅ”",
    "CAFÉ”",
    "MENÜ“",
    "Été «chic»",
    "NIÑO",
    "AÇÃO",
    "MAÇÃ\xa0VERDE",
    "Robe d’été – 50 % coton…",
    "À la carte",
    "Ångström »",
    "ÅÄÖ",
    "Þór",
    "Nike® Air™",
    "Größe „M“",
    "FRÍÐ”",
    "Сірий",
    "РОССИЯ, СССР",
    "ДЛЯ №1",
    "красный",
    "ΠΑΠΟΎΤΣΙΑ",
    "赤いワンピース",
    "빨간 원피스",
    "红色连衣裙",
    "ÎLE",
    "crème brûlée",
    "30 °C",
    "½ €",
    "COBORÂ",
    "SMÅ – stor",
    "ÊTRE",
    "Œuvre",
    "ĂN UỐNG",
    "Đầm đỏ",
    "Żółta spódnica",
    "İstanbul ŞIK",
    "👗 dress",
    "√ checked",
    "a\xa0b",
    "ŁÓDŹ…",
    "Årø",
]
WORDS = ["klänning", "été", "żółta", "şık", "Красное", "赤いワンピース", "größe", "niña", "don’t", "Nike™", "ÖVER"]
WRONG = [word.encode().decode("cp1252", "replace") for word in WORDS]
WRONG += [word.encode().decode("latin-1") for word in WORDS]
WRONG += ["ÃƒÂ©tÃƒÂ©", "caf�", "50 Â°C", "Â£5", "ï»¿id", "√©t√©", "don‚Äôt", "РљСЂР°СЃРЅРѕРµ", "Г©tГ©", "Ă©tĂ©", "ðŸ‘—"]


@pytest.mark.parametrize("text", RIGHT)
def test_right_text_is_not_counted(text: str) -> None:
    assert garbled([pl.Series([text])]) == Garbled()


@pytest.mark.parametrize("text", WRONG)
def test_text_in_a_wrong_encoding_is_counted(text: str) -> None:
    assert garbled([pl.Series([None, "Dress", text])]) == Garbled(1, text)


def test_cells_of_several_columns_are_added_up() -> None:
    columns = [pl.Series(["Ã©", "a", None]), pl.Series([None], dtype=pl.String), pl.Series(["donâ€™t", "Ã¶"])]
    assert garbled(columns) == Garbled(3, "Ã©")


@given(st.text(st.characters(max_codepoint=127)))
def test_ascii_is_never_counted(text: str) -> None:
    assert garbled([pl.Series([text])]).cells == 0
