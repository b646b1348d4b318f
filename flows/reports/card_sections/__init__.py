"""The sections of a model card: plain text, tables and plots, which the templates lay out."""

from catalog_io.catalog.model_tables import ModelRow
from flows.reports.card_sections.limits import limits, noise
from flows.reports.card_sections.origin import data, identity, training
from flows.reports.card_sections.parts import Plot, Section, Table
from flows.reports.card_sections.promises import promises
from flows.reports.card_sections.results import attributes, overview
from models.evaluation.results import Results
from models.lifecycle.card import ModelCard
from models.rules.certificates import Certificates

__all__ = ["Plot", "Section", "Table", "sections"]


def sections(card: ModelCard, row: ModelRow, certificates: Certificates, results: Results) -> list[Section]:
    """All sections in the order of the card: results, certificates, noise, limits, origin."""
    return [
        overview(results),
        promises(certificates),
        *attributes(results),
        noise(card),
        limits(certificates, results),
        identity(card, row),
        data(row),
        training(card, row),
    ]
