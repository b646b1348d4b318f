"""What a model card says: sections of plain text, tables and plots. How they look is the templates' matter."""

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
    """From what the model reached and promises to where it comes from and what it cannot do."""
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
