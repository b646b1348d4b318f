"""What cma.toml and the environment may say."""

from pathlib import Path

import pytest

from flows.project.settings import load_settings
from schemas.errors import ConfigurationError


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('hom = "x"', "there is no setting `hom`"),
        ('[tag]\nengine = "fast"', "`tag.engine`"),
        ("[tag]\ntarget_precision = 1.5", "`tag.target_precision`"),
        ("[feeds.hm]\nimages = 'x'", "`feeds.hm.source`"),
        ("home = ", "not valid TOML"),
        ('home = "s3://bucket/home"', "`home`: Value error, object stores are not supported here"),
        ("[feeds.'a b']\nsource = 'x'", "letters, digits"),
    ],
)
def test_wrong_settings_name_the_key(tmp_path: Path, toml: str, message: str) -> None:
    (tmp_path / "cma.toml").write_text(toml)
    with pytest.raises(ConfigurationError) as error:
        load_settings(tmp_path / "cma.toml")
    assert message in str(error.value)


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
