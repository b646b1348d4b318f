"""The model card, beside a model's weights: what it is, promises, reached and cannot do. A web page, and Markdown."""

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from catalog_io.catalog.model_tables import ModelRow
from flows.reports.card_sections import sections
from models.evaluation.results import Results
from models.lifecycle.card import ModelCard
from models.rules.certificates import Certificates
from schemas.files import write_whole

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")


@dataclass(frozen=True)
class CardFiles:
    """Where the card is: one page that needs no other file, and Markdown with its plots in `model-card/`."""

    page: Path
    text: Path


def write_model_card(
    folder: Path, card: ModelCard, row: ModelRow, *, engine: str, certificates: Certificates, results: Results
) -> CardFiles:
    """Writes `model-card.html` and `model-card.md` into the model's folder, in place of earlier ones."""
    content = sections(card, row, certificates, results)
    values = {
        "card": card,
        "engine": engine,
        "made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "sections": content,
    }
    files = CardFiles(folder / "model-card.html", folder / "model-card.md")
    for plot in (plot for section in content for plot in section.plots):
        write_whole(folder / "model-card" / f"{plot.name}.svg", plot.svg)
    write_whole(files.text, _render("model_card.md", autoescape=False, **values))
    write_whole(files.page, _render("model_card.html", autoescape=True, **values))
    return files


def _render(template: str, *, autoescape: bool, **values: object) -> str:
    environment = Environment(
        autoescape=autoescape,  # noqa: S701 - Markdown is escaped by its own filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=_escape_markdown, data_uri=_data_uri)
    text = (resources.files("flows.reports") / "templates" / template).read_text("utf-8")
    return environment.from_string(text).render(**values)


def _escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in one line; no value can end its cell or become markup."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def _data_uri(svg: str) -> str:
    """As a picture of its own, an SVG's ids and styles cannot touch the page or another plot."""
    return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
