"""What is doubtful about a picture that is used reaches the user: in the view, the summary and what is printed."""

import io
from pathlib import Path

from PIL import Image
from rich.console import Console

from flows.cli.printing.ingestion import print_feeds
from tests.flows.ingestion.shop import outcome, picture, run, select

NOTE = "its colour profile is ignored: it is damaged"


def test_a_profile_that_is_ignored_is_noted_until_the_picture_has_a_good_one(shop: Path) -> None:
    with Image.open(shop / "b.jpg") as image:
        image.save(shop / "b.jpg", icc_profile=b"damaged" * 100)
    summary = run(shop)
    assert summary.picture_notes == {NOTE: 1} and summary.picture_faults == {}
    assert select(shop, "select listing_id, uri, note, image_hash is not null from doubtful_pictures") == [
        ("B", "b.jpg", NOTE, True)
    ]
    out = io.StringIO()
    print_feeds(Console(file=out, width=200), [summary])
    assert f"doubtful pictures, which are used: 1 × {NOTE}" in out.getvalue()
    assert outcome(run(shop)) == (0, 0, 3, 0, 0)
    (shop / "b.jpg").rename(shop / "away.jpg")
    assert run(shop).picture_notes == {}  # it is unusable now, which says more
    picture(shop / "b.jpg", 1)
    assert run(shop).picture_notes == {}
