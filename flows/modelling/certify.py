"""Certifies feeds on their labelled listings that the champion never learned from, with the engine that tags."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.modelling.drift_reference import store_drift_reference
from flows.modelling.evaluate import evaluate_model
from flows.modelling.labelled import held_out
from flows.project.project import Project, cores
from models.lifecycle.compile import certify_feeds
from models.rules.certificates import Certificates, Promise
from schemas.errors import UserError


@dataclass(frozen=True)
class CertifySummary:
    """The certificates of a model on an engine; `feeds` are those that were certified anew."""

    model_version: str
    engine: str
    feeds: list[str]
    certificates: Certificates


def certify(project: Project, feeds: Sequence[str] = ()) -> CertifySummary:
    """Certifies the named feeds, or all that have labels; the next `cma tag` tags anew what the certificates change.
    UserError where a named feed has no labelled listings that the champion did not learn from."""
    model = project.model()
    with project.run("certify-feeds") as run:
        validation, calibration = (held_out(project, model, split, feeds) for split in ("validation", "calibration"))
        if without := sorted(set(feeds) - set(calibration.feeds.tolist())):
            raise UserError(
                f"feed {without[0]} has no labelled listings that {model.version} did not learn from: map its label "
                f"columns under [feeds.{without[0]}.labels], and run `cma ingest {without[0]}`"
            )
        engine, certificates = certify_feeds(
            model,
            project.settings.tag.engine,
            validation=validation,
            calibration=calibration,
            feeds=feeds,
            promise=promise_of(project),
            threads=cores(),
        )
        backend = engine.identity.backend
        store_drift_reference(project, model, backend, feeds)
        made_for = list(feeds) or list(certificates.feeds)
        summary = CertifySummary(model.version, str(engine.identity), made_for, model.certificates(backend))
        run.summary.update(model_version=model.version, engine=summary.engine, feeds=", ".join(summary.feeds))
        evaluate_model(project)  # writes the model card of the certificates that hold now
    return summary


def promise_of(project: Project) -> Promise:
    """The promise that the project's settings ask for."""
    tag = project.settings.tag
    return Promise(tag.target_precision, tag.confidence, tag.certify)
