import csv
import hashlib
import io
import re
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from catalog_io.sample.catalogue import BREAKAGES, FAULT_SHARE, FAULTS, SampleListing, make_sample, plan_sample
from catalog_io.sample.fabrics import PATTERNS
from catalog_io.sample.garments import CUTS
from catalog_io.sample.palette import PALETTE
from catalog_io.sample.titles import (
    BRANDS,
    EXTRAS,
    MATERIALS,
    NAMING_RATES,
    OCCASIONS,
    UNUSABLE_WORDS,
    WEARERS,
)
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

TAXONOMY = Taxonomy.packaged()
MEANING = {
    word: (attribute.name, value)
    for attribute in TAXONOMY.attributes
    for value, words in attribute.values.items()
    for word in (value, *words)
}
# The longest word first, so that "navy blue" is not read as "blue".
ANY_WORD = re.compile(r"\b(" + "|".join(map(re.escape, sorted(MEANING, key=len, reverse=True))) + r")\b")


def named_in(text: str) -> dict[str, str]:
    return dict(MEANING[word] for word in ANY_WORD.findall(text.lower()))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def planned() -> list[SampleListing]:
    return plan_sample(3000, 7)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample(tmp_path_factory.mktemp("sample"), listings=210, seed=3).folder


def test_everything_the_packaged_taxonomy_names_can_be_drawn() -> None:
    drawn = {"color": tuple(PALETTE), "pattern": tuple(PATTERNS), "style": tuple(CUTS)}
    assert TAXONOMY.names == tuple(drawn)
    for attribute in TAXONOMY.attributes:
        assert set(attribute.value_names) == set(drawn[attribute.name])
    assert [len(attribute.value_names) for attribute in TAXONOMY.attributes] == [17, 12, 21]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        make_sample(tmp_path / name, listings=60, seed=seed)
    assert digests(tmp_path / "one") == digests(tmp_path / "again")
    other = digests(tmp_path / "other")
    assert all(other.get(path) != digest for path, digest in digests(tmp_path / "one").items())


def test_a_complete_sample_is_left_alone_and_a_half_written_one_is_redone(tmp_path: Path) -> None:
    heard: list[int] = []
    made = make_sample(tmp_path, listings=12, seed=1, progress=heard.append)
    assert sum(heard) == 12
    whole = digests(tmp_path)
    make_sample(tmp_path, listings=12, seed=1, progress=heard.append)
    assert sum(heard) == 12

    made.ground_truth.unlink()  # as if killed before the end
    (tmp_path / "images" / "L00001.jpg").write_bytes(b"half a pic")
    make_sample(tmp_path, listings=12, seed=1)
    assert digests(tmp_path) == whole

    make_sample(tmp_path, listings=5, seed=1)
    assert len(rows_of(made.feed)) == 5
    assert not (tmp_path / "images" / "L00012.jpg").exists()


def test_a_folder_with_someone_elses_catalogue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "listings.csv").write_text("mine\n")
    with pytest.raises(UserError, match="not a sample"):
        make_sample(tmp_path, listings=5)
    assert (tmp_path / "listings.csv").read_text() == "mine\n"


def test_titles_name_attributes_as_often_as_in_the_paper(planned: list[SampleListing]) -> None:
    for name, rate in NAMING_RATES.items():
        share = sum(name in named_in(listing.title) for listing in planned) / len(planned)
        assert share == pytest.approx(rate, abs=0.03)


def test_titles_name_the_planned_attributes_and_no_others(planned: list[SampleListing]) -> None:
    for listing in planned:
        said = named_in(listing.title)
        assert set(said) == set(listing.named), listing.title
        if listing.fault == "unrelated_title":
            assert said
            assert all(listing.values[name] != value for name, value in said.items())
        else:
            assert said.items() <= listing.values.items()


def test_filler_words_name_no_attribute() -> None:
    for filler in (*BRANDS, *WEARERS, *OCCASIONS, *MATERIALS, *EXTRAS, *sum(UNUSABLE_WORDS.values(), ())):
        assert not named_in(filler), filler


def test_faults_are_planted_in_the_shares_and_ways_promised(planned: list[SampleListing]) -> None:
    counts = Counter(listing.fault for listing in planned)
    assert set(counts) == {"", *FAULTS}
    assert all(counts[fault] == round(FAULT_SHARE * len(planned)) for fault in FAULTS)
    for listing in planned:
        pictured_wrong = [name for name, value in listing.values.items() if listing.pictured[name] != value]
        assert len(pictured_wrong) >= 2 if listing.fault == "wrong_picture" else not pictured_wrong
        labels = {name: TAXONOMY[name].value_of(word) for name, word in listing.labels.items()}
        wrong = [name for name, value in labels.items() if value not in (None, listing.values[name])]
        assert wrong == ([listing.detail] if listing.fault == "wrong_label" else [])
    assert {x.detail for x in planned if x.fault == "broken_file"} == set(BREAKAGES)


def test_label_words_are_usable_but_for_a_few(planned: list[SampleListing]) -> None:
    cells = [(name, word) for listing in planned for name, word in listing.labels.items()]
    empty = sum(not word for _, word in cells)
    unusable = [(name, word) for name, word in cells if word and TAXONOMY[name].value_of(word) is None]
    assert empty / len(cells) == pytest.approx(0.08, abs=0.01)
    assert 0 < len(unusable) / len(cells) < 0.02
    assert all(word in UNUSABLE_WORDS[name] and not TAXONOMY[name].is_outside(word) for name, word in unusable)


def test_values_have_a_long_tail_but_none_is_rare(planned: list[SampleListing]) -> None:
    for attribute in TAXONOMY.attributes:
        counts = Counter(listing.values[attribute.name] for listing in planned)
        assert set(counts) == set(attribute.value_names)
        assert min(counts.values()) > 0.018 * len(planned)
        assert max(counts.values()) > 2 * min(counts.values())


def test_sisters_share_pattern_and_style_but_not_color(planned: list[SampleListing]) -> None:
    products: dict[str, list[SampleListing]] = {}
    for listing in planned:
        products.setdefault(listing.product_id, []).append(listing)
    assert {len(sisters) for sisters in products.values()} == {1, 2, 3}
    for sisters in products.values():
        assert len({(x.values["pattern"], x.values["style"]) for x in sisters}) == 1
        assert len({x.values["color"] for x in sisters}) == len(sisters)


def test_files_hold_what_was_planned(sample: Path) -> None:
    planned = plan_sample(210, 3)
    feed, truth = rows_of(sample / "listings.csv"), rows_of(sample / "ground_truth.csv")
    assert list(feed[0]) == ["listing_id", "product_id", "title", "image", "color", "pattern", "style"]
    assert list(truth[0]) == ["listing_id", "color", "pattern", "style", "fault", "detail"]
    assert [row["title"] for row in feed] == [listing.title for listing in planned]
    assert [row["fault"] for row in truth] == [listing.fault for listing in planned]


def test_pictures_open_unless_they_are_planted_broken(sample: Path) -> None:
    for row in rows_of(sample / "ground_truth.csv"):
        path = sample / "images" / f"{row['listing_id']}.jpg"
        if row["fault"] != "broken_file":
            with Image.open(path) as picture:
                picture.load()
                assert (picture.format, picture.size) == ("JPEG", (200, 320))
        elif row["detail"] == "missing":
            assert not path.exists()
        elif row["detail"] == "one_pixel":
            with Image.open(path) as picture:
                assert picture.size == (1, 1)
        else:
            with pytest.raises(OSError), Image.open(io.BytesIO(path.read_bytes())) as picture:
                picture.load()
