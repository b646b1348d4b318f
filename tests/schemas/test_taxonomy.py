from pathlib import Path

import polars as pl
import pytest

from schemas.errors import ConfigurationError
from schemas.taxonomy import Taxonomy

COLOR = """
color:
  prompt: "a photo of a {} dress"
  values:
    gray: [grey, Charcoal]
    navy: [navy blue]
    red:
style:
  values: [maxi, mini]
"""


def load(tmp_path: Path, text: str) -> Taxonomy:
    file = tmp_path / "taxonomy.yaml"
    file.write_text(text, encoding="utf-8")
    return Taxonomy.load(file)


def test_values_keep_the_order_of_the_file_and_words_find_them(tmp_path: Path) -> None:
    taxonomy = load(tmp_path, COLOR)
    assert taxonomy.names == ("color", "style")
    color = taxonomy["color"]
    assert color.value_names == ("gray", "navy", "red")
    assert [color.value_of(w) for w in ("GREY", " charcoal ", "Navy \t Blue", "red", "", "teal")] == [
        "gray", "gray", "navy", "red", None, None,
    ]  # fmt: skip
    assert taxonomy["style"].prompt == "a photo of a {} style"
    with pytest.raises(KeyError):
        taxonomy["size"]


def test_round_trip(tmp_path: Path) -> None:
    taxonomy = load(tmp_path, COLOR)
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy
    assert Taxonomy.model_validate_json(taxonomy.model_dump_json()) == taxonomy


OUTSIDE = """
color:
  values: {red: [], gray: [grey]}
  unusable: [See Shop]
pattern:
  values: [plain, mixed]
  unknown_words: unusable
"""


@pytest.mark.parametrize(
    ("word", "outside"),
    [
        *(("Teal", True), ("Multi", True), ("Other", True), ("rosy red", True), ("grey-ish", True)),
        *(("Red", False), ("GREY", False), ("red/teal", False), ("teal, grey", False), ("All > Red", False)),
        *(("Mixed", False), ("Assorted Colours", False), ("see picture", False), ("As shown in the picture", False)),
        *(("Multi-Pack", False), ("various", False), ("As per image.", False), ("see shop", False)),
    ],
)
def test_a_word_of_no_value_says_none_of_these_unless_it_cannot_say(tmp_path: Path, word: str, outside: bool) -> None:
    taxonomy = load(tmp_path, OUTSIDE)
    assert taxonomy["color"].is_outside(word) == outside
    assert not taxonomy["pattern"].is_outside(word)
    assert taxonomy["pattern"].value_of("Mixed") == "mixed"  # a value keeps its meaning
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy


def test_the_packaged_taxonomy() -> None:
    taxonomy = Taxonomy.packaged()
    assert taxonomy.names == ("color", "pattern", "style")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one"),
        ("- color", "expected `attribute"),
        ("color: {values: {a: [x], b: [x]}}", "attribute color: the word 'x' is claimed by 'a' and by 'b'"),
        ("color: {values: {a: [], b: [A]}}", "'A' is claimed by 'a' and by 'b'"),
        ("color: {values: {}}", "at least two values"),
        ("color: {values: {only: []}}", "at least two values"),
        ("color: {values: [[1], b]}", "at least two values"),
        ("color:", "expected `prompt` and `values`"),
        ("color: {values: [a, b], unknown_words: no}", "`unknown_words` is False; it is `outside` where"),
        ("color: {values: [a, b], unusable: mixed}", "unusable: expected a list of words"),
        ("color: {values: [a, b], unusable: [A]}", "the word 'A' is claimed by 'a' and by `unusable`"),
        ("color: {values: [a, b], promt: x}", "unknown key promt"),
        ("color: {values: [a, b], prompt: a dress}", "`prompt` needs {} once"),
        ("color: {values: [a, b], prompt: '{} {0}'}", "`prompt` needs {} once"),
        ("color: {values: {a: grey, b: []}}", "value a: expected a list of words"),
        ("color: {values: {a: [1990], b: []}}", "value a: 1990 is not text; write it in quotes"),
        ("color: {values: {no: [], b: []}}", "False is not text; write it in quotes"),
        ("color: {values: {a: [' '], b: []}}", "an empty word"),
        ("color: {values: {a: [x], a: [y], b: []}}", "'a' stands twice"),
        ("Color: {values: [a, b]}", "attribute 'Color': a name is small letters"),
        ("'a\"; drop table tags; --': {values: [a, b]}", "a name is small letters"),
        ("title: {values: [a, b]}", "taken by a column"),
        ("color: {values: [a, b", "not valid YAML"),
    ],
)
def test_faults_name_the_file_and_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        load(tmp_path, text)
    assert said in str(fault.value)
    assert "taxonomy.yaml" in str(fault.value)


def test_a_missing_or_binary_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        Taxonomy.load(tmp_path / "nowhere.yaml")
    (tmp_path / "t.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match=r"t\.yaml"):
        Taxonomy.load(tmp_path / "t.yaml")


def test_codes_are_places_in_the_file() -> None:
    taxonomy = Taxonomy.from_dict({"color": {"values": {"red": [], "gray": ["grey"]}}})
    color = taxonomy["color"]
    codes = color.codes(pl.Series(["gray", None, "red", "mauve"]))
    assert codes.to_list() == [1, -1, 0, color.none_code]
    assert color.codes(pl.Series([None], dtype=pl.String)).to_list() == [-1]
    assert taxonomy.class_counts == [color.class_count] == [3]
    assert color.answers == ("red", "gray", "none of these values")
