"""An earlier picture stands in for a broken one only where root and product are the same."""

import shutil
from pathlib import Path

import pytest

from tests.flows.ingestion.shop import CONFIG, content, make_shop, outcome, picture, run, select, write_feed


def pictures(shop: Path) -> dict[str, bool]:
    """Which listings have a picture."""
    return dict(select(shop, "select listing_id, image_hash is not null from listings where inactive_since is null"))


def test_a_broken_picture_keeps_the_earlier_one_of_its_listing(shop: Path) -> None:
    run(shop)
    (shop / "b.jpg").write_bytes(b"cut off")
    assert run(shop).picture_faults == {"picture_unreadable": 1}
    assert pictures(shop) == {"A": True, "B": True, "C": True}
    assert select(shop, "select listing_id, earlier_picture_kept from unusable_pictures") == [("B", True)]


@pytest.mark.parametrize("gone", [True, False])
def test_a_file_name_used_again_does_not_bring_the_picture_of_another_product(shop: Path, gone: bool) -> None:
    run(shop)
    (shop / "b.jpg").unlink()
    rows = [{"id": "NEW", "image": "b.jpg"}] + [{"id": "B", "image": "b.jpg"}] * (not gone)
    write_feed(shop, rows)
    for _ in range(2):
        summary = run(shop)
        assert pictures(shop) == {"NEW": False} | ({} if gone else {"B": True})
        assert summary.without_picture == 1
    assert outcome(summary) == (0, 0, 2 - gone, 0, 0)
    picture(shop / "b.jpg", 9)
    assert run(shop).without_picture == 0


def test_a_new_variant_has_the_earlier_picture_of_its_product_and_another_product_has_not(shop: Path) -> None:
    columns = '{ listing_id = "id", product_id = "color", title = "title", image = "image" }'
    config = CONFIG.format(source="feed.csv").splitlines()
    text = "\n".join(f"columns = {columns}" if line.startswith("columns") else line for line in config[:-1])
    (shop / "cma.toml").write_text(text, encoding="utf-8")
    write_feed(shop, [{"id": "A", "color": "P1"}])
    run(shop)
    (shop / "a.jpg").unlink()
    write_feed(shop, [{"id": "A", "color": "P1"}, {"id": "B", "color": "P1"}, {"id": "C", "color": "P2"}])
    run(shop)
    assert pictures(shop) == {"A": True, "B": True, "C": False}
    write_feed(shop, [{"id": "A", "color": "P2"}])
    run(shop)
    assert pictures(shop) == {"A": False}


def test_another_picture_root_brings_no_earlier_picture(shop: Path) -> None:
    run(shop)
    other = shop / "other"
    other.mkdir()
    picture(other / "a.jpg", 50)
    (other / "b.jpg").write_bytes(b"cut off")
    text = (shop / "cma.toml").read_text(encoding="utf-8")
    (shop / "cma.toml").write_text(text.replace('images = "."', 'images = "other"'), encoding="utf-8")
    summary = run(shop)
    assert summary.picture_faults == {"picture_unreadable": 1, "picture_not_found": 1}  # b.jpg, and c.jpg of C
    assert pictures(shop) == {"A": True, "B": False, "C": True}  # C has a.jpg, too
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)


def test_a_file_with_the_same_time_and_size_in_another_root_is_read(shop: Path) -> None:
    run(shop)
    (shop / "other").mkdir()
    for name in ("a", "b", "c"):
        shutil.copy2(shop / f"{name}.jpg", shop / "other")
    text = (shop / "cma.toml").read_text(encoding="utf-8")
    (shop / "cma.toml").write_text(text.replace('images = "."', 'images = "other"'), encoding="utf-8")
    assert outcome(run(shop)) == (0, 0, 3, 3, 0)
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)


def test_a_project_that_is_moved_with_its_pictures_has_the_same_root(tmp_path: Path, shared_workers: None) -> None:
    (tmp_path / "here").mkdir()
    run(make_shop(tmp_path / "here"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert outcome(run(tmp_path / "there")) == (0, 0, 3, 0, 0)
    assert content(tmp_path / "there")["picture_sources"]
