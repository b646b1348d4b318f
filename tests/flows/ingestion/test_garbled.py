"""The summary of an ingest says how many cells look as if they were read in a wrong encoding, and what to do."""

import io
from pathlib import Path

from rich.console import Console

from flows.cli.printing.ingestion import print_feeds
from flows.ingestion.ingest import FeedSummary
from tests.flows.ingestion.ingested import run


def ingested(folder: Path, body: bytes, encoding: str = "") -> tuple[FeedSummary, str]:
    (folder / "a.csv").write_bytes(body)
    (folder / "cma.toml").write_text(
        f'[feeds.shop]\nsource = "a.csv"\n{encoding}\nlabels = {{ color = "color" }}\n'
        'columns = { listing_id = "id", title = "title", image = "image" }\n'
    )
    summary = run(folder)
    out = io.StringIO()
    print_feeds(Console(file=out, width=400), [summary])
    return summary, out.getvalue()


BODY = "id,title,image,color\n1,Röd klänning,,röd\n2,Kjol [red],,blå\n3,Dress,,red\n"


def test_text_that_was_encoded_twice_is_counted(tmp_path: Path, shared_workers: None) -> None:
    summary, shown = ingested(tmp_path, BODY.encode().decode("cp1252").encode())
    assert (summary.accepted, summary.garbled, summary.garbled_example) == (3, 3, "RÃ¶d klÃ¤nning")
    assert "3 titles and label words look like text in a wrong encoding, such as 'RÃ¶d klÃ¤nning': correct" in shown
    assert "`encoding` in [feeds.shop]" in shown


def test_the_wrong_setting_is_named(tmp_path: Path, shared_workers: None) -> None:
    summary, _ = ingested(tmp_path, BODY.encode(), 'encoding = "windows-1252"')
    assert summary.garbled == 3


def test_rows_that_are_not_text_in_the_encoding_are_counted(tmp_path: Path, shared_workers: None) -> None:
    summary, shown = ingested(tmp_path, BODY.encode("windows-1252"))
    assert (summary.accepted, summary.undecoded, summary.garbled) == (1, 2, 0)
    assert "2 of these rows are not text in the feed's encoding; where the whole file is in another one, set" in shown


def test_right_text_is_not_mentioned(tmp_path: Path, shared_workers: None) -> None:
    summary, shown = ingested(tmp_path, BODY.encode())
    assert (summary.undecoded, summary.garbled) == (0, 0)
    assert "encoding" not in shown
