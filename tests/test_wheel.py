"""The wheel installs and runs outside the checkout, with every file that it reads inside."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.licences import dependencies
from tests.places import ROOT

PACKAGES = ("catalog_io", "flows", "models", "schemas")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, made without network by the build backend that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; print(hatchling.build.build_wheel({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files, as `pip install --no-deps --target` makes it.

    Python with this folder as PYTHONPATH finds no checkout: neither this one, nor one installed in editable mode.
    """
    folder = tmp_path_factory.mktemp("installed")
    with ZipFile(wheel) as files:
        files.extractall(folder)
    (folder / "sitecustomize.py").write_text(
        "import pathlib, sys\n"
        "sys.path[:] = [place for place in sys.path if not pathlib.Path(place, 'pyproject.toml').exists()]\n"
    )
    return folder


@pytest.fixture(scope="module")
def facts(installed: Path) -> Message:
    (text,) = installed.glob("cma_tagger-*.dist-info/METADATA")
    return Parser().parsestr(text.read_text(encoding="utf-8"))


def run(installed: Path, arguments: Sequence[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    tracked = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as files:
        held = {name for name in files.namelist() if ".dist-info/" not in name}
    assert held == tracked
    assert {f"{package}/py.typed" for package in PACKAGES} <= held


def test_the_command_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    commands = ["cma --version", "cma sample --help", "cma init"]
    script = (
        "import sys; from flows.cli.commands import app, __file__ as place\n"
        f"assert place.startswith({str(installed)!r}), place\n"
        f"for command in {commands!r}:\n"
        "    app(command.split()[1:], standalone_mode=False)\n"
    )
    shown = run(installed, ["-c", script], tmp_path).stdout
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert shown.startswith(f"cma-tagger {version}\n")
    assert "ground_truth.csv" in shown
    assert (tmp_path / "cma.toml").is_file()
    assert (tmp_path / "taxonomy.yaml").is_file()


def test_the_wheel_finds_its_taxonomy_its_network_and_its_templates(installed: Path, tmp_path: Path) -> None:
    script = (
        "import schemas.taxonomy, models.training.presets, flows.reports\n"
        "from jinja2 import Environment, PackageLoader\n"
        f"assert all(m.__file__.startswith({str(installed)!r}) for m in (schemas.taxonomy, models.training.presets))\n"
        "taxonomy = schemas.taxonomy.Taxonomy.packaged()\n"
        "models.training.presets.preset('small').build(taxonomy, load_pretrained=False)\n"
        "environment = Environment(loader=PackageLoader('flows.reports'))\n"
        "print(*taxonomy.names, *environment.list_templates())\n"
    )
    shown = run(installed, ["-c", script], tmp_path).stdout.split()
    assert shown == ["color", "pattern", "style", "model_card.html", "model_card.md", "noise_report.html"]


def test_the_metadata_names_licence_python_and_readme(facts: Message) -> None:
    assert facts["License-Expression"] == "Apache-2.0"
    assert facts["License-File"] == "LICENSE"
    assert facts["Requires-Python"] == ">=3.11"
    assert "# cma-tagger" in str(facts.get_payload())


def test_the_page_of_licences_names_every_direct_dependency() -> None:
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    named = [line.split("|")[1].strip() for line in page.splitlines() if line.startswith("| ")][1:]
    assert named == [name for names in dependencies().values() for name in names]
