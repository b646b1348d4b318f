"""What users type, and what they are told when it is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from flows.project.project import Project
from flows.project.settings import load_settings
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
]


def cma(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "flows.cli", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=250, check=False)


def test_help_teaches_every_command(tmp_path: Path) -> None:
    shown = cma("--help", cwd=tmp_path)
    assert shown.returncode == 0
    assert all(command in shown.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("ingest",), 2, "there is no cma.toml"),
        (("sql", "select 1"), 2, "cma init"),
        (("unheard-of",), 2, "No such command"),
    ],
)
def test_without_a_project(tmp_path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = cma(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('hom = "x"', "there is no setting `hom`"),
        ('[tag]\nengine = "fast"', "`tag.engine`"),
        ("[tag]\ntarget_precision = 1.5", "`tag.target_precision`"),
        ("[feeds.hm]\nimages = 'x'", "`feeds.hm.source`"),
        ("home = ", "not valid TOML"),
        ("[feeds.'a b']\nsource = 'x'", "letters, digits"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path: Path, toml: str, said: str) -> None:
    (tmp_path / "cma.toml").write_text(toml)
    with pytest.raises(ConfigurationError) as error:
        load_settings(tmp_path / "cma.toml")
    assert said in str(error.value)


def test_relative_paths_start_at_the_file_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "cma.toml"
    config.write_text('taxonomy = "t.yaml"\n[feeds.a]\nsource = "a.csv"\n[feeds.b]\nsource = "s3://bucket/b.csv"\n')
    monkeypatch.setenv("CMA_HOME", "elsewhere")
    monkeypatch.setenv("CMA_TAG__ENGINE", "torch")
    settings = load_settings(config)
    assert settings.home == tmp_path / "elsewhere"
    assert settings.taxonomy == tmp_path / "t.yaml"
    assert settings.feeds["a"].source == str(tmp_path / "a.csv")
    assert settings.feeds["b"].source == "s3://bucket/b.csv"
    assert settings.tag.engine == "torch"


def test_an_unknown_feed_and_an_unmapped_attribute(tmp_path: Path) -> None:
    from flows.ingestion.ingest import ingest

    config = tmp_path / "cma.toml"
    config.write_text('[feeds.a]\nsource = "a.csv"\nlabels = { size = "size" }\n')
    with pytest.raises(ConfigurationError, match="no feed 'b'"):
        ingest(Project.open(config), ["b"])
    with pytest.raises(ConfigurationError, match="no attribute 'size'"):
        ingest(Project.open(config))


def test_sql_prints_every_format_and_changes_nothing(tagged: Path) -> None:
    ask = ("sql", "select attribute, listings from tag_coverage order by attribute", "--config", str(tagged))
    table = cma(*ask, cwd=tagged.parent)
    assert table.returncode == 0
    assert "color" in table.stdout
    as_csv = cma(*ask, "--format", "csv", cwd=tagged.parent)
    assert as_csv.stdout.splitlines()[0] == "attribute,listings"
    as_json = cma(*ask, "--format", "json", cwd=tagged.parent)
    assert [row["attribute"] for row in json.loads(as_json.stdout)] == ["color", "pattern", "style"]
    refused = cma("sql", "delete from tags", "--config", str(tagged), cwd=tagged.parent)
    assert refused.returncode == 1
    assert "read-only" in refused.stderr


def test_models_and_runs_are_listed_and_promoted(tagged: Path) -> None:
    project = Project.open(tagged)
    champion = project.catalog.champion()
    assert champion is not None
    listed = cma("models", "--config", str(tagged), cwd=tagged.parent)
    assert champion.model_version in listed.stdout
    assert "champion" in listed.stdout
    shown = cma("models", "--config", str(tagged), "show", champion.model_version, cwd=tagged.parent)
    assert json.loads(shown.stdout)["data_hash"] == champion.data_hash
    promoted = cma("models", "--config", str(tagged), "promote", champion.model_version, cwd=tagged.parent)
    assert promoted.returncode == 0, promoted.stderr
    assert "it tags on the openvino engine" in promoted.stdout
    back = cma("models", "--config", str(tagged), "rollback", cwd=tagged.parent)
    assert (back.returncode, back.stdout) == (1, "")
    assert "no champion before this one" in back.stderr
    wrong = cma("models", "--config", str(tagged), "promote", "none-such", cwd=tagged.parent)
    assert wrong.returncode == 1
    assert "no model 'none-such'" in wrong.stderr
    runs = cma("runs", "--config", str(tagged), cwd=tagged.parent)
    assert all(flow in runs.stdout for flow in ("nightly", "train-cma", "tag-catalog", "completed"))


def test_init_guesses_a_feed_and_overwrites_nothing(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "article_id": [str(n) for n in range(60)],
            "prod_name": ["Dress"] * 60,
            "image": ["a.jpg"] * 60,
            "colour": ["Grey", "Navy Blue", "Red"] * 20,
            "product_type": ["Sock", "Shoe", "Hat"] * 20,
        }
    ).write_csv(tmp_path / "feed.csv")
    done = cma("init", "feed.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    project = Project.open(tmp_path / "cma.toml")
    assert project.settings.feeds["mine"].columns == {
        "listing_id": "article_id",
        "title": "prod_name",
        "image": "image",
    }
    assert project.settings.feeds["mine"].labels == {"color": "colour", "style": "product_type"}
    assert project.taxonomy["color"].value_of("navy blue") == "navy"  # the packaged values know these words
    assert set(project.taxonomy["style"].value_names) == {"Sock", "Shoe", "Hat"}  # and not these
    again = cma("init", cwd=tmp_path)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_init_says_which_column_it_cannot_find(tmp_path: Path) -> None:
    from flows.cli.starter import write_starter

    (tmp_path / "feed.csv").write_text("code,words\n1,a\n")
    with pytest.raises(UserError, match=r"listing_id or title or image; its columns are code, words"):
        write_starter(tmp_path, str(tmp_path / "feed.csv"))


def test_the_example_of_two_merchants_is_a_valid_project() -> None:
    example = EXAMPLES / "two-merchants"
    project = Project.open(example / "cma.toml")
    assert [len(attribute.value_names) for attribute in project.taxonomy.attributes] == [16, 12, 21]
    for feed in project.settings.feeds.values():
        assert set(feed.labels) <= set(project.taxonomy.names)
