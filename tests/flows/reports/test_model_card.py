"""Evaluation of a trained model: the stored results, and a model card that is complete and safe to open."""

import io
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from catalog_io.catalog.snapshot import query
from flows.cli.printing.modelling import print_evaluation
from flows.modelling.evaluate import Evaluation, evaluate_model
from flows.project.project import Project
from flows.reports import plots
from flows.reports.card_sections.origin import identity
from flows.reports.model_card import write_model_card
from models.evaluation.results import RESULTS, Results
from models.network.architecture import PictureTowerShape, WeightsOrigin
from models.rules.certificates import Certificate
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror=alert(1)> | $\\frac{1}{2}$ `[a](javascript:b)`\n# c"


@pytest.fixture(scope="module")
def evaluated(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Evaluation]:
    folder = tmp_path_factory.mktemp("evaluated") / "project"
    shutil.copytree(trained.parent, folder)
    project = Project.open(folder / "cma.toml")
    return project, evaluate_model(project)


def test_every_attribute_is_measured_with_intervals(evaluated: tuple[Project, Evaluation]) -> None:
    project, done = evaluated
    assert tuple(done.results.attributes) == project.taxonomy.names
    for name, found in done.results.attributes.items():
        values = project.taxonomy[name].value_names
        assert [row.value for row in found.values] == list(values)
        assert sum(row.labelled for row in found.values) == found.overall.labelled == sum(map(sum, found.confusion))
        for metric in ("accuracy", "recall_oracle", "coverage"):
            estimate = found.overall.metrics[metric]
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert found.overall.products <= found.overall.labelled


def test_it_is_the_evaluation_of_the_engine(evaluated: tuple[Project, Evaluation]) -> None:
    """The point estimates are the metrics that `cma compile` found on the same engine and listings."""
    project, done = evaluated
    from models.lifecycle.engine_card import EngineCard

    folder = project.model_folder()
    built = EngineCard.read(folder, "openvino")
    assert built is not None and str(built.identity) == done.engine
    for name, metrics in built.metrics.items():
        for metric, value in metrics.items():
            if metric not in ("labelled", "outside"):
                found = done.results.attributes[name].overall.metrics[metric].value
                assert found == pytest.approx(value, abs=1e-6, nan_ok=True), metric


def test_evaluations_are_stored_once_and_published(evaluated: tuple[Project, Evaluation]) -> None:
    project, done = evaluated
    again = evaluate_model(project)
    assert again.data_hash == done.data_hash
    assert again.results.to_dict() == done.results.to_dict()  # the bootstrap is seeded
    evaluate_model(project, split="calibration")
    project.catalog.publish()
    rows = query(project.home, "select * from evaluations where engine like 'openvino%' order by split")
    assert rows["split"].to_list() == ["calibration", "test"]
    assert rows["data_hash"].n_unique() == 2
    stored = json.loads(rows["results"][1])
    assert RESULTS.validate_python(stored).to_dict() == done.results.to_dict()
    assert rows["model_version"].to_list() == [done.model.version] * 2
    path = "$.attributes.color.overall.metrics.accuracy.value"
    accuracy = query(
        project.home,
        f"select results::json -> '{path}' as a from evaluations where split = 'test' and engine like 'openvino%'",
    )
    assert float(accuracy["a"][0]) == done.results.attributes["color"].overall.metrics["accuracy"].value


def test_only_the_whole_test_split_writes_the_card(evaluated: tuple[Project, Evaluation]) -> None:
    project, done = evaluated
    assert done.files is not None
    before = done.files.page.read_bytes()
    part = evaluate_model(project, split="validation")
    assert part.files is None
    assert evaluate_model(project, feed="sample").files is None
    assert done.files.page.read_bytes() == before


def test_what_cannot_be_evaluated_says_why(evaluated: tuple[Project, Evaluation]) -> None:
    project, _ = evaluated
    with pytest.raises(UserError, match=r"no labelled listing of feed hm belongs to the test split"):
        evaluate_model(project, feed="hm")
    fewer = Taxonomy.from_dict({"color": project.taxonomy.to_dict()["color"]})
    with pytest.raises(UserError, match=r"trained for other attributes or values"):
        evaluate_model(Project(project.config, project.settings, fewer))


class Page(HTMLParser):
    """Elements, the sources of pictures, and text; raises where tags are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        assert not [name for name, _ in attributes if name.startswith("on")]
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_complete_and_needs_no_other_file(evaluated: tuple[Project, Evaluation]) -> None:
    project, done = evaluated
    assert done.files is not None
    html = done.files.page.read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.seen
    assert len(page.sources) == 3 * 3 + 1  # three plots an attribute, and the learning curve
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert "http://" not in html and "https://" not in html
    row = project.catalog.models()[0]
    accuracy = done.results.attributes["color"].overall.metrics["accuracy"]
    for said in (
        done.model.version,
        done.model.card.weights,
        row.data_hash,
        done.engine,
        f"{accuracy.value:.3f} ({accuracy.low:.3f}–{accuracy.high:.3f})",
        "Nothing is certified: every tag abstains.",  # by a model that is barely trained
        "AUROC",
    ):
        assert said in page.text, said


def tables(text: str) -> list[list[str]]:
    """Markdown tables: their lines."""
    return [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]


def test_the_markdown_has_whole_tables_and_its_plots_beside_it(evaluated: tuple[Project, Evaluation]) -> None:
    _, done = evaluated
    assert done.files is not None
    text = done.files.text.read_text(encoding="utf-8")
    for table in tables(text):
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table}
        assert len(cells) == 1, table
        assert re.fullmatch(r"\|(---\|)+", table[1])
    shown = re.findall(r"!\[.+\]\((.+)\)", text)
    assert len(shown) == 10
    for plot in shown:
        ElementTree.parse(done.files.text.parent / plot)  # noqa: S314 - our own file


def hostile(results: Results) -> Results:
    """The first value of each attribute is named by someone who means harm."""
    attributes = {
        name: replace(found, values=[replace(found.values[0], value=HOSTILE), *found.values[1:]])
        for name, found in results.attributes.items()
    }
    return replace(results, attributes=attributes, feeds={HOSTILE: 3})


def test_names_of_values_and_feeds_are_text_and_nothing_else(
    evaluated: tuple[Project, Evaluation], tmp_path: Path
) -> None:
    project, done = evaluated
    certificates = done.model.card.certificates
    own = next(iter(certificates.feeds.values()))
    color = replace(own["color"], values={HOSTILE: Certificate(40, None, 0, 0, None, None)})
    files = write_model_card(
        tmp_path,
        done.model.card,
        project.catalog.models()[0],
        engine=HOSTILE,
        certificates=replace(certificates, feeds={HOSTILE: {**own, "color": color}}),
        results=hostile(done.results),
    )
    page = Page(files.page.read_text(encoding="utf-8"))
    assert page.text.count("<img src=x onerror=alert(1)>") > 5
    assert page.seen.count("img") == 10
    text = files.text.read_text(encoding="utf-8")
    assert "<img" not in text.replace("\\<img", "")
    assert "](javascript" not in text.replace("\\](javascript", "").replace("\\]\\(javascript", "")
    assert not re.search(r"^# c", text, re.MULTILINE)
    for table in tables(text):
        assert len({len(re.split(r"(?<!\\)\|", line)) for line in table}) == 1, table
    svg = (tmp_path / "model-card" / "color-confusion.svg").read_text(encoding="utf-8")
    names = [element.tag for element in ElementTree.fromstring(svg).iter()]  # noqa: S314 - our own file
    assert not [name for name in names if name.endswith(("img", "script", "image"))]
    assert "frac{1}{2}" in svg  # as it is written, not as a formula


def shown(done: Evaluation, *, values: bool = False) -> str:
    text = io.StringIO()
    print_evaluation(Console(file=text, width=160, soft_wrap=True), done, values=values)
    return text.getvalue()


def test_the_command_prints_intervals_and_where_the_card_is(evaluated: tuple[Project, Evaluation]) -> None:
    _, done = evaluated
    said = shown(done)
    assert "model-card.html" in said and "R@90%" in said
    accuracy = done.results.attributes["style"].overall.metrics["accuracy"]
    assert f"{accuracy.value:.3f} ({accuracy.low:.3f}–{accuracy.high:.3f})" in said
    assert len(shown(done, values=True).splitlines()) > len(said.splitlines()) + 40
    assert "these figures are too good" in shown(replace(done, results=replace(done.results, split="validation")))
    assert "[red]" in shown(replace(done, results=marked_up(done.results)), values=True)


def marked_up(results: Results) -> Results:
    found = results.attributes["color"]
    values = [replace(found.values[0], value="[red]"), *found.values[1:]]
    return replace(results, attributes={"color": replace(found, values=values)})


def test_plots_are_the_same_every_time(evaluated: tuple[Project, Evaluation]) -> None:
    found = evaluated[1].results.attributes["color"]
    assert plots.reliability(found.reliability) == plots.reliability(found.reliability)
    assert plots.precision_curve(found, 0.9) == plots.precision_curve(found, 0.9)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("}text")]  # noqa: S314


@pytest.mark.parametrize("values", [2, 21, 60])
def test_a_confusion_matrix_stays_readable(values: int) -> None:
    """Each value's row says how many are labelled so; beyond 40, the rarest are one row, and no listing is lost."""
    counts = [[(row + 1) * (row == column) for column in range(values)] for row in range(values)]
    said = texts(plots.confusion(counts, [f"v{row}" for row in range(values)]))
    rows = [int(found[1]) for text in said if (found := re.fullmatch(r".+ \((\d+)\)", text))]
    assert len(rows) == min(values, 40)
    assert sum(rows) == values * (values + 1) // 2
    assert said.count("100") == len(rows)
    assert any(text.startswith("21 others") for text in said) == (values == 60)


@pytest.mark.parametrize("history", [{"tuning": [0.5]}, {"pretrain": [0.1, 0.2], "tuning": [0.3, 0.4, 0.5]}])
def test_a_learning_curve_names_its_stages(history: dict[str, Sequence[float]]) -> None:
    assert set(history) <= set(texts(plots.learning_curve(history)))


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_a_browser_shows_the_page(evaluated: tuple[Project, Evaluation], tmp_path: Path) -> None:
    done = evaluated[1]
    assert CHROMIUM and done.files
    shot = tmp_path / "card.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    size = ["--window-size=1200,2400", f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={shot}"]
    command = [CHROMIUM, *options, *size, done.files.page.as_uri()]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    from PIL import Image

    with Image.open(shot) as image:
        assert len(image.convert("RGB").getcolors(2**24) or []) > 200  # text and plots, not a blank page


def test_a_picture_towers_weights_are_named_with_source_licence_and_hash(evaluated: tuple[Project, Evaluation]) -> None:
    project, done = evaluated
    card = done.model.card
    shape = replace(card.preset.architecture, picture_tower=PictureTowerShape(trunk="tf_efficientnet_lite0"))
    origin = WeightsOrigin("tf_efficientnet_lite0", "a-package 0.1.0", "Apache-2.0", "5793")
    with_tower = replace(card, preset=replace(card.preset, architecture=shape), picture_weights=origin)
    rows = dict(identity(with_tower, project.catalog.models()[0]).tables[0].rows)
    assert rows["picture tower"].startswith("tf_efficientnet_lite0, ")
    assert rows["weights of the picture tower"] == "a-package 0.1.0; SHA-256 5793"
    assert rows["licence of these weights"] == "Apache-2.0"
    assert "picture tower" not in dict(identity(card, project.catalog.models()[0]).tables[0].rows)
