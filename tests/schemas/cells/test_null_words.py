from schemas.cells.null_words import NullWords, is_null_label
from schemas.taxonomy import Taxonomy

TAXONOMY = Taxonomy.from_dict(
    {"pattern": {"values": {"none": ["plain", "n/a"], "dots": []}}, "color": {"values": ["red", "none"]}}
)


def test_words_of_programs_mean_nothing() -> None:
    words = NullWords()
    for text in ("nan", "None", "NULL", "N/A", "#N/A", "<NA>", "\\N", "-", "--", "undefined", "NaT", "(blank)", "[]"):
        assert words.has(text), text
    for text in ("Na", "unknown", "0", "Nancy", "A-", "nano", ""):
        assert not words.has(text), text


def test_a_label_may_say_that_the_merchant_does_not_know() -> None:
    for text in ("unknown", "Unknown ", "N/A", "NA", "not specified", "#REF!", "NONE"):
        assert is_null_label(text), text
    assert not is_null_label("red")


def test_a_word_of_the_taxonomy_keeps_its_meaning_for_its_attribute() -> None:
    words = NullWords.of(["Diverse", "-1"], TAXONOMY)
    assert not words.has_label("pattern", "None") and not words.has_label("pattern", "N/A")
    assert words.has_label("color", "N/A") and not words.has_label("color", "none")
    assert words.has_label("style", "none")
    assert words.has_label("color", "DIVERSE") and words.has("diverse") and words.has("-1")
