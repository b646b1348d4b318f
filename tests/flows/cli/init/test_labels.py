"""Labels are taken where their words make an attribute; what is doubtful has a note."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.init.labels import Candidate, Chosen, choose, make_taxonomy
from schemas.attribute import fold
from schemas.taxonomy import Taxonomy


def chosen(attribute: str, *columns: dict[str, int]) -> tuple[Chosen | None, list[str]]:
    notes: list[str] = []
    candidates = [Candidate(f"c{n}", f'"c{n}"', Counter(words)) for n, words in enumerate(columns)]
    return choose(attribute, candidates, notes), notes


def values(attribute: str, words: dict[str, int]) -> dict[str, list[str]]:
    choice, _ = chosen(attribute, words)
    assert choice
    assert choice.attribute
    return choice.attribute["values"]  # type: ignore[no-any-return]


def test_the_packaged_attribute_is_used_where_it_knows_most_words() -> None:
    assert chosen("color", {"Red": 50, "NAVY": 30, "Kelp": 5}) == (Chosen("c0", None), [])


def test_words_that_cannot_name_a_value_are_no_values() -> None:
    assert values("style", {"Sock": 30, "Hat": 30, "Assorted": 90, "see picture": 50}) == {"Sock": [], "Hat": []}


def test_other_words_are_outside_unless_they_contain_the_values() -> None:
    kinds = {"Sock": 300, "Hat": 300, "Glove": 9, "Belt": 9, "Scarf": 9}
    shades = {"Red": 300, "Kelp": 9, "Bright Red": 9, "red-ish grey": 9}
    for attribute, words, guess in (("style", kinds, "outside"), ("color", shades, "unusable")):
        choice, notes = chosen(attribute, words)
        assert choice
        assert choice.unknown_words == guess
        assert make_taxonomy({attribute: choice})[attribute].unknown_words == guess
        assert [note for note in notes if "unknown_words" in note] == notes[-1:] * (guess == "unusable")
    assert '(such as "bright red")' in notes[-1]


def test_spellings_of_one_word_are_one_value_in_the_commonest() -> None:
    words = {"Socks": 30, "SOCKS": 40, "socks": 10, "Ｓocks": 1, "Hats": 25, "hats ": 5}
    assert values("style", words) == {"SOCKS": [], "Hats": []}


def test_words_for_nothing_are_no_values() -> None:
    assert values("style", {"Sock": 30, "Hat": 30, "N/A": 90, "-": 50, "unknown": 99}) == {"Sock": [], "Hat": []}


def test_a_path_means_its_last_part() -> None:
    words = {"Women > Dresses > Maxi": 30, "Sale > Maxi": 25, "Women > Hats": 30}
    assert values("style", words) == {"Maxi": ["Women > Dresses > Maxi", "Sale > Maxi"], "Hats": ["Women > Hats"]}


def test_lists_of_words_are_no_values() -> None:
    assert values("style", {"Sock": 30, "Hat": 30, "Sock; Hat": 40, "Cups, plates": 30}) == {
        "Sock": [],
        "Hat": [],
        "Cups, plates": [],
    }


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"1": 50, "2": 40, "Sock": 20}, "numbers"),
        ({"simple": 50, "variable": 40, "simple, virtual": 5}, "how a product is sold"),
        ({f"A dress number {n}, soft and warm": 1 for n in range(5000)}, "5,000 different words in 5,000 rows"),
        ({"Sock": 500}, 'all rows have the word "Sock"'),
        ({f"id-{n}": 2 for n in range(1000)} | {"Sock": 30, "Hat": 30}, "1,002 different words"),
    ],
)
def test_words_that_make_no_attribute_are_not_taken_silently(words: dict[str, int], reason: str) -> None:
    choice, notes = chosen("style", words)
    assert choice is None
    assert notes[0].startswith('labels.style: "c0" is not used, because ')
    assert reason in notes[0]


def test_the_next_column_is_taken_instead() -> None:
    choice, notes = chosen("style", {"simple": 50}, {"Sock": 30, "Hat": 30}, {"Shoe": 30, "Hat": 30})
    assert choice
    assert choice.source == "c1"
    assert [note.partition(" is")[0].partition(" would")[0] for note in notes] == [
        'labels.style: "c0"',
        'labels.style: its values in taxonomy.yaml are the 2 commonest words of "c1": remove what',
        'labels.style: "c2"',
    ]


def test_a_feed_keeps_the_packaged_color_and_pattern() -> None:
    choice, _ = chosen("style", {"Sock": 30, "Hat": 30})
    assert choice
    taxonomy = make_taxonomy({"style": choice})
    packaged = Taxonomy.packaged()
    assert (taxonomy["color"], taxonomy["pattern"]) == (packaged["color"], packaged["pattern"])
    assert taxonomy["style"].value_names == ("Hat", "Sock")
    assert make_taxonomy({}) == packaged
    assert make_taxonomy({"color": Chosen("c", None)}).names == ("color", "pattern")


@given(
    st.sampled_from(["color", "pattern", "style"]),
    st.dictionaries(st.text(min_size=1, max_size=20), st.integers(1, 200), max_size=12),
)
def test_any_words_make_a_taxonomy_or_a_note(attribute: str, words: dict[str, int]) -> None:
    choice, notes = chosen(attribute, words)
    taxonomy = make_taxonomy({attribute: choice} if choice else {})
    assert choice or notes
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy
    if choice and choice.attribute:
        known = {fold(word) for value, more in choice.attribute["values"].items() for word in (value, *more)}
        assert known <= {fold(word) for word in words} | {fold(v) for v in choice.attribute["values"]}
