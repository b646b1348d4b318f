"""Certifies feeds: on labelled listings of theirs that the champion never learned from, by the engine that tags."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.modelling.evaluate import evaluate_model
from flows.modelling.labelled import held_out
from flows.project.project import Project, cores
from models.lifecycle.card import read_card
from models.lifecycle.compile import certify_feeds
from models.rules.certificates import Certificates, Promise
from schemas.errors import UserError


@dataclass(frozen=True)
class CertifySummary:
    """`feeds` are those whose certificates were made anew."""

    model_version: str
    engine: str
    feeds: list[str]
    certificates: Certificates


def certify(project: Project, feeds: Sequence[str] = ()) -> CertifySummary:
    """The named feeds (all with labels, where none is named); the next `cma tag` tags anew where that changes tags."""
    folder = project.model_folder()
    card = read_card(folder)
    with project.run("certify-feeds") as run:
        validation, calibration = (held_out(project, card, split, feeds) for split in ("validation", "calibration"))
        if without := sorted(set(feeds) - set(calibration.feeds.tolist())):
            raise UserError(
                f"feed {without[0]} has no labelled listings that {card.version} did not learn from: map its label "
                f"columns under [feeds.{without[0]}.labels], and run `cma ingest {without[0]}`"
            )
        engine, certificates = certify_feeds(
            folder,
            card,
            project.settings.tag.engine,
            validation=validation,
            calibration=calibration,
            feeds=feeds,
            promise=promise_of(project),
            threads=cores(),
        )
        summary = CertifySummary(
            card.version, str(engine.identity), list(feeds) or list(certificates.feeds), certificates
        )
        run.summary.update(model_version=card.version, engine=summary.engine, feeds=", ".join(summary.feeds))
        evaluate_model(project)  # writes the card of the certificates that hold now
    return summary


def promise_of(project: Project) -> Promise:
    """What the project's settings want certified."""
    tag = project.settings.tag
    return Promise(tag.target_precision, tag.confidence, tag.certify)
