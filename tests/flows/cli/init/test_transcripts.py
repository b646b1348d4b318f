"""docs/exports.md shows what `cma init` guesses and writes today."""

from pathlib import Path

import pytest

from flows.cli.init.starter import write_starter
from tests.flows.cli.init.write_transcripts import PAGE, TRANSCRIPTS, feed_section, make


@pytest.mark.parametrize("title", TRANSCRIPTS)
def test_the_page_of_transcripts_is_current(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    started = write_starter(tmp_path, make(tmp_path, title))
    part = PAGE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    shown = part.partition("$ cma init")[2].partition("```")[0]
    assert [line.strip() for line in shown.splitlines() if line.startswith("  ")] == started.guess.notes
    assert f"[feeds.mine]\n{feed_section(started.config)}\n```" in part
