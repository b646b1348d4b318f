"""Writes the model card into the model's folder, as a web page and as Markdown."""

from dataclasses import dataclass
from pathlib import Path

from catalog_io.catalog.model_records import ModelRow
from flows.reports.card_sections import limits, origin, promises
from flows.reports.card_sections import results as measured
from flows.reports.rendering import render
from models.evaluation.results import Results
from models.lifecycle.card import ModelCard
from models.rules.certificates import Certificates
from schemas.files import write_whole


@dataclass(frozen=True)
class CardFiles:
    """The paths of the card: a page that needs no other file, and Markdown with its plots in `model-card/`."""

    page: Path
    text: Path


def write_model_card(
    folder: Path, card: ModelCard, row: ModelRow, *, engine: str, certificates: Certificates, results: Results
) -> CardFiles:
    """Writes `model-card.html` and `model-card.md` into the model's folder, in place of earlier ones."""
    sections = [
        measured.overview(results),
        promises.promises(certificates),
        *measured.attributes(results),
        limits.noise(card),
        limits.limits(certificates, results),
        origin.identity(card, row),
        origin.data(row),
        origin.training(card, row),
    ]
    files = CardFiles(folder / "model-card.html", folder / "model-card.md")
    for plot in (plot for section in sections for plot in section.plots):
        write_whole(folder / "model-card" / f"{plot.name}.svg", plot.svg)
    for path, template in ((files.text, "model_card.md"), (files.page, "model_card.html")):
        write_whole(path, render(template, card=card, engine=engine, sections=sections))
    return files
