"""The pages of the root and of docs name only files, rooms, commands, options and settings that exist."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer.main

from flows.project.settings import Settings

ROOT = Path(__file__).parent.parent
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
PACKAGES = ("flows", "models", "catalog_io", "schemas")
FOLDERS = (*PACKAGES, "tests", "docs", "deploy", "typings")
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def code(page: Path) -> str:
    """All code blocks and code spans of a page, one a line."""
    text = page.read_text()
    return "\n".join([*BLOCK.findall(text), *SPAN.findall(BLOCK.sub("", text))])


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_each_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", BLOCK.sub("", page.read_text())):
        if "://" in target:
            continue
        place, _, anchor = target.partition("#")
        path = page.parent / place if place else page
        assert path.exists(), f"{target}: no such file"
        assert not anchor or anchor in anchors(path), f"{target}: no such heading"


@each_page
def test_each_path_of_the_repository_exists(page: Path) -> None:
    for path in re.findall(rf"(?<![\w/.<>-])(?:{'|'.join(FOLDERS)})/[\w./*-]*", page.read_text()):
        assert list(ROOT.glob(path.rstrip("./"))), f"{path}: no such file"


@each_page
def test_each_dotted_name_exists(page: Path) -> None:
    for name in re.findall(rf"^(?:{'|'.join(PACKAGES)})(?:\.\w+)+$", code(page), re.MULTILINE):
        parts = name.split(".")
        depth = max(n for n in range(1, len(parts) + 1) if module_file(parts[:n]).exists())
        held = parts[depth:]
        assert not held or re.search(rf"\b{held[0]}\b", module_file(parts[:depth]).read_text()), f"{name}: no such name"


def module_file(parts: list[str]) -> Path:
    path = ROOT.joinpath(*parts)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@each_page
def test_each_command_and_its_options_exist(page: Path) -> None:
    for line in code(page).replace("\\\n", " ").splitlines():
        for words in re.findall(r"(?<![\w./-])cma ((?:[\w=.,+<>-]+ ?)+)", line):
            command, first = command_of(words.split())
            known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
            unknown = {word.split("=")[0] for word in words.split() if word.startswith("--")} - known
            assert not unknown, f"cma {first}: no option {unknown}"


def command_of(words: list[str]) -> tuple[Any, str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    command = typer.main.get_command(importlib.import_module(project["scripts"]["cma"].split(":")[0]).app)
    first = words[0]
    if not first.startswith("-"):
        assert first in command.commands, f"cma {first}: no such command"
        command = command.commands[first]
        if len(words) > 1 and words[1] in getattr(command, "commands", {}):
            command = command.commands[words[1]]
    return command, first


@each_page
def test_each_setting_exists(page: Path) -> None:
    sections = {name: field.annotation for name, field in Settings.model_fields.items()}
    for name in re.findall(r"^([a-z]+(?:\.[a-z_]+)+)(?: = .*)?$", code(page), re.MULTILINE):
        first, *rest = name.split(".")
        section: Any = sections.get(first)
        if isinstance(section, type) and section.__module__ != "pathlib":
            for part in rest:
                hints = get_type_hints(section)
                assert part in hints, f"{name}: no such setting"
                section = hints[part]


def test_readme_names_each_room_and_no_other() -> None:
    tree = next(block for block in BLOCK.findall((ROOT / "README.md").read_text()) if "\nmodels/" in block)
    named: dict[str, set[str]] = {}
    package = ""
    for indent, name in re.findall(r"^( *)([^\s`]+)", tree, re.MULTILINE):
        if indent:
            named[package].add(name)
        else:
            package = name.rstrip("/")
            named[package] = set()
    assert {package: names for package, names in named.items() if names} == {
        package: set(rooms(ROOT / package)) for package in PACKAGES
    }
    assert all((ROOT / package).is_dir() for package in named)


def rooms(package: Path) -> Iterator[str]:
    """What a package shows: its modules, and the folders that hold files of the project."""
    for path in package.iterdir():
        if path.is_dir() and any(file.suffix != ".pyc" for file in path.rglob("*") if file.is_file()):
            yield f"{path.name}/"
        elif path.suffix == ".py" and path.name != "__init__.py":
            yield path.name
