"""The `cma` command: what it prints, its exit codes, and its messages when the usage is wrong."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from flows.cli.commands import main
from flows.project.project import Project
from schemas.errors import ConfigurationError, UserError
from tests.places import EXAMPLES

COMMANDS = [
    "demo",
    "sample",
    "init",
    "ingest",
    "train",
    "certify",
    "ablate",
    "compile",
    "tag",
    "report",
    "nightly",
    "sql",
    "evaluate",
    "runs",
    "models",
    "compact",
    "bench",
]


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str


Cma = Callable[..., Done]


@pytest.fixture
def cma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cma:
    """Runs a command in this process, in the test's own folder: starting Python for each would take seconds."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["cma", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), *capfd.readouterr())

    return run


def test_the_program_prints_help_for_every_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flows.cli", "--help"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250, check=False)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("ingest",), 2, "there is no cma.toml"),
        (("sql", "select 1"), 2, "cma init"),
        (("unheard-of",), 2, "No such command"),
    ],
)
def test_wrong_usage_has_exit_code_2_and_a_message(
    cma: Cma, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = cma(*arguments)
    assert done.code == code
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_messages_name_an_unknown_feed_and_an_unmapped_attribute(tmp_path: Path) -> None:
    from flows.ingestion.ingest import ingest

    config = tmp_path / "cma.toml"
    config.write_text('[feeds.a]\nsource = "a.csv"\nlabels = { size = "size" }\n')
    with pytest.raises(ConfigurationError, match="no feed 'b'"):
        ingest(Project.open(config), ["b"])
    with pytest.raises(ConfigurationError, match="no attribute 'size'"):
        ingest(Project.open(config))


def test_sql_prints_every_format_and_changes_nothing(cma: Cma, tagged: Path) -> None:
    ask = ("sql", "select attribute, listings from tag_coverage order by attribute", "--config", str(tagged))
    table = cma(*ask)
    assert table.code == 0
    assert "color" in table.stdout
    as_csv = cma(*ask, "--format", "csv")
    assert as_csv.stdout.splitlines()[0] == "attribute,listings"
    as_json = cma(*ask, "--format", "json")
    assert [row["attribute"] for row in json.loads(as_json.stdout)] == ["color", "pattern", "style"]
    refused = cma("sql", "delete from tags", "--config", str(tagged))
    assert refused.code == 1
    assert "read-only" in refused.stderr


def test_models_and_runs_are_listed_and_promoted(cma: Cma, tagged: Path) -> None:
    project = Project.open(tagged)
    champion = project.catalog.champion()
    assert champion is not None
    listed = cma("models", "--config", str(tagged))
    assert champion.model_version in listed.stdout
    assert "champion" in listed.stdout
    shown = cma("models", "--config", str(tagged), "show", champion.model_version)
    assert json.loads(shown.stdout)["data_hash"] == champion.data_hash
    promoted = cma("models", "--config", str(tagged), "promote", champion.model_version)
    assert promoted.code == 0, promoted.stderr
    assert "it tags on the openvino engine" in promoted.stdout
    back = cma("models", "--config", str(tagged), "rollback")
    assert (back.code, back.stdout) == (1, "")
    assert "no champion before this one" in back.stderr
    wrong = cma("models", "--config", str(tagged), "promote", "none-such")
    assert wrong.code == 1
    assert "no model 'none-such'" in wrong.stderr
    runs = cma("runs", "--config", str(tagged))
    assert all(flow in runs.stdout for flow in ("nightly", "train-cma", "tag-catalog", "completed"))


def test_init_guesses_a_feed_and_overwrites_nothing(cma: Cma, tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "article_id": [str(n) for n in range(60)],
            "prod_name": ["Dress"] * 60,
            "image": ["a.jpg"] * 60,
            "colour": ["Grey", "Navy Blue", "Red"] * 20,
            "product_type": ["Sock", "Shoe", "Hat"] * 20,
        }
    ).write_csv(tmp_path / "feed.csv")
    done = cma("init", "feed.csv")
    assert done.code == 0, done.stderr
    project = Project.open(tmp_path / "cma.toml")
    assert project.settings.feeds["mine"].columns == {
        "listing_id": "article_id",
        "title": "prod_name",
        "image": "image",
    }
    assert project.settings.feeds["mine"].labels == {"color": "colour", "style": "product_type"}
    assert project.taxonomy["color"].value_of("navy blue") == "navy"  # the packaged values know these words
    assert set(project.taxonomy["style"].value_names) == {"Sock", "Shoe", "Hat"}  # and not these
    again = cma("init")
    assert again.code == 1
    assert "already exists" in again.stderr


def test_init_names_the_column_that_it_cannot_find(tmp_path: Path) -> None:
    from flows.cli.init.starter import write_starter

    (tmp_path / "feed.csv").write_text("code,words\n1,a\n")
    with pytest.raises(UserError, match=r"listing_id or title or image; its columns are code, words"):
        write_starter(tmp_path, str(tmp_path / "feed.csv"))


def test_the_example_of_two_merchants_is_a_valid_project() -> None:
    example = EXAMPLES / "two-merchants"
    project = Project.open(example / "cma.toml")
    assert [len(attribute.value_names) for attribute in project.taxonomy.attributes] == [16, 12, 21]
    for feed in project.settings.feeds.values():
        assert set(feed.labels) <= set(project.taxonomy.names)


def test_help_loads_no_heavy_library() -> None:
    heavy = {"torch", "polars", "prefect", "pydantic", "sqlalchemy"}
    code = f"import sys, flows.cli.commands; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
