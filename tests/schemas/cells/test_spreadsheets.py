"""What spreadsheets make of cells: react-csv/react-csv#136, huanz/tableExport#10, pandas-dev/pandas#28335."""

import pytest

from schemas.cells.spreadsheets import (
    is_error,
    is_formula,
    is_shortened,
    linked,
    text_of_formula,
    without_apostrophe,
    without_point,
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (text, "error")
            for text in ("#REF!", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!")
        ),
        *(
            (text, "error")
            for text in ("#BEZUG!", "#WERT!", "#ZAHL!", "#¡REF!", "#VALEUR!", "Err:502", "########", "Loading...")
        ),
        *((text, "formula") for text in ("=VLOOKUP(A2,names!A:B,2,0)", "=A2", "=$A$2&B2", "=Sheet1!A1", "=+A1*2")),
        *(
            (text, "formula")
            for text in ("='My sheet'!A1", '="a"&B1', "=SVERWEIS(A2;B:C;2)", "=ИНДЕКС(A1:A9;2)", "=1+1")
        ),
        *((text, "formula") for text in ("=_xlfn.XLOOKUP(A1,B:B,C:C)", "@SUM(A1:A9)", "+SUM(A1)", "={1,2}", "=-A1")),
        *((text, "shortened") for text in ("5.90123E+12", "5,90123E+12", "1E+15", "4.0e+20", "5.9E12")),
        *((text, "shortened") for text in ("1234567890123456.0", "12345678901234567890.0")),
        *((text, None) for text in ("#1 dress", "#red", "#", "Error", "E", "err", "# 5", "#summer sale", "Errol", "")),
        *((text, None) for text in ("= Red dress =", "=>", "- red", "+SIZE (XL)", "-SALE(50%)", "@home", "=)", "===")),
        *(
            (text, None)
            for text in ("1E5", "5E12", "12E", "E+12", "125.0", "1.5", "12.5", "A1.0E+1", "123456789012345.0")
        ),
    ],
)
def test_each_text_is_of_one_kind_at_most(text: str, kind: str | None) -> None:
    kinds = {"error": is_error(text), "formula": is_formula(text), "shortened": is_shortened(text)}
    assert [name for name, is_it in kinds.items() if is_it] == ([kind] if kind else [])


def test_texts_that_people_write_as_formulas() -> None:
    assert text_of_formula('="00123"') == "00123"
    assert text_of_formula('= "27"" wide"') == '27" wide'
    assert text_of_formula('="a"&"b"') == '="a"&"b"'
    assert text_of_formula('"00123"') == '"00123"'
    assert [without_apostrophe(text) for text in ("'00124", "’00124", "´00124")] == ["00124"] * 3
    for text in ("'00124'", "'68 comeback", "'", "'A1", "00'24"):
        assert without_apostrophe(text) == text


def test_a_whole_number_of_a_column_of_floats() -> None:
    assert [without_point(text) for text in ("125.0", "125,0", "0.0", "-7.0")] == ["125", "125", "0", "-7"]
    for text in ("00125.0", "1.50", "125.", "v1.0", "1.2.0", "1234567890123456.0"):
        assert without_point(text) == text


def test_addresses_in_formulas() -> None:
    assert linked('=HYPERLINK("https://a.example/x.jpg","x")') == "https://a.example/x.jpg"
    assert linked('=hyperlink( "x.jpg" ; "a (b)" )') == "x.jpg"
    assert linked('=IMAGE("https://a.example/x.jpg")') == "https://a.example/x.jpg"
    assert linked('=_xlfn.IMAGE("https://a.example/x.jpg", "alt", 1)') == "https://a.example/x.jpg"
    for text in ('=HYPERLINK(A1,"x")', '=VLOOKUP("x",A:B,2)', "HYPERLINK", ""):
        assert linked(text) is None
