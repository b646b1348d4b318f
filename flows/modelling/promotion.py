"""Promotion: a new model is compared with the champion on the same held-out listings, and tags if it is not worse."""

from dataclasses import dataclass

import polars as pl
from pydantic import TypeAdapter

from flows.modelling.encoded import Encoder
from flows.modelling.labelled import labelled_frame, listings_of
from flows.project.project import Project, cores
from models.engines.encoded_listings import EncodedListings
from models.engines.machine import best_device
from models.engines.table import REFERENCE, EngineName, candidates
from models.evaluation.comparison import Answers, Comparison, compare
from models.inputs.examples import Examples
from models.lifecycle.card import OutdatedModel
from models.lifecycle.model import Model
from schemas.errors import UserError


class NotComparable(UserError):
    """Two models cannot be compared; the message says why."""


@dataclass(frozen=True)
class Verdict:
    """Whether a model was promoted, and why. `champion` is the model that it was compared with, if any."""

    promoted: bool
    reason: str
    champion: str | None = None
    comparison: Comparison | None = None


@dataclass(frozen=True)
class Switched:
    """The new champion. `backend` is the first engine that the settings allow here; `trouble` says why the champion
    cannot tag with it (None: it can)."""

    model_version: str
    backend: str
    trouble: str | None


def judge(project: Project, version: str, *, engine: EngineName = REFERENCE) -> Verdict:
    """Compares a registered model with the champion, stores the comparison in the catalogue, and promotes the model
    where the comparison and the setting `model.promote` allow it. A model that has `engine` answers on it. A champion
    of another version of cma-tagger, which cannot tag any more, is replaced without a comparison."""
    champion = project.catalog.champion()
    if champion is None or champion.model_version == version:
        return Verdict(True, "it is the first model")
    automatic = project.settings.model.promote == "auto"
    try:
        comparison = compare_with_champion(project, version, engine=engine)
    except OutdatedModel:
        if not automatic:
            return Verdict(False, "model.promote is never", champion.model_version)
        reason = f"{champion.model_version} is of another version of cma-tagger, which this one cannot read"
        project.catalog.promote(version, instead_of=champion.model_version, reason=reason)
        return Verdict(True, reason, champion.model_version)
    except NotComparable as fault:
        project.catalog.record_comparison(version, None, refused=str(fault))
        return Verdict(False, str(fault), champion.model_version)
    refused = "; ".join(comparison.objections) or None
    against = {"champion": champion.model_version, **TypeAdapter(Comparison).dump_python(comparison)}
    project.catalog.record_comparison(version, against, refused=refused)
    if refused or not automatic:
        return Verdict(False, refused or "model.promote is never", champion.model_version, comparison)
    reason = f"not worse than {champion.model_version} on the same {comparison.products} held-out products"
    project.catalog.promote(version, instead_of=champion.model_version, reason=reason)
    return Verdict(True, reason, champion.model_version, comparison)


def promote(project: Project, version: str) -> Switched:
    """Makes a registered model the champion without a comparison. UserError where its files are missing or damaged."""
    champion = project.catalog.champion()
    switched = _usable(project, version)
    before = champion.model_version if champion else None
    project.catalog.promote(version, instead_of=before, reason="by hand")
    return switched


def roll_back(project: Project) -> Switched:
    """Makes the previous champion the champion again; a second call goes back one more. UserError where there is no
    previous champion, or its files are missing or damaged."""
    valid = [made.model_version for made in project.catalog.promotions() if made.withdrawn_at is None]
    if len(valid) < 2:
        raise UserError("there is no champion before this one to go back to: `cma models` lists all models")
    switched = _usable(project, valid[-2])
    project.catalog.roll_back(valid[-1])
    return switched


def compare_with_champion(project: Project, version: str, *, engine: EngineName = REFERENCE) -> Comparison:
    """Compares a model with the champion on the labelled listings of the test split. Neither has seen them, since a
    product never changes its split. A model that has `engine` answers on it, the other on the reference engine.
    NotComparable where the models or the labels do not fit together, OutdatedModel where the champion is of another
    version of cma-tagger."""
    champion = project.catalog.champion()
    if champion is None or champion.model_version == version:
        raise UserError(f"there is no other champion to compare {version} with: `cma models` lists all models")
    model = project.model(version)
    card = model.card
    if card.taxonomy.classes != project.taxonomy.classes:
        raise NotComparable(f"{version} was trained for another taxonomy than this project's: train again")
    frame = labelled_frame(project, ("test",))
    if frame.is_empty():
        raise NotComparable("no labelled listing belongs to the test split: there is nothing to compare models on")
    try:
        before = Model.open(project.home / champion.path)
        if before.card.taxonomy.classes != card.taxonomy.classes:
            raise NotComparable(f"the champion {before.version} was trained for other attributes or values")
        champion_answers = _answers(project, before, frame, engine)[0]
    except OutdatedModel:
        raise
    except UserError as fault:
        raise NotComparable(f"it cannot be compared with the champion: {fault}") from fault
    answers, examples = _answers(project, model, frame, engine)
    labelled = {name: examples.labels[:, k] >= 0 for k, name in enumerate(card.taxonomy.names)}
    measured = [name for name, known in labelled.items() if answers[name].inside[known].any()]
    return compare(
        champion_answers,
        answers,
        labelled={name: labelled[name] for name in measured},
        products=examples.products,
        target_precision=card.target_precision,
        confidence=card.confidence,
        margin=project.settings.model.promotion_margin,
    )


def _answers(
    project: Project, model: Model, frame: pl.DataFrame, engine: EngineName
) -> tuple[dict[str, Answers], Examples | EncodedListings]:
    """The model's answers on an engine, from stored features where there are some; on the reference engine where it
    lacks that engine, as a model has none that has just been trained."""
    card = model.card
    examples: Examples | EncodedListings
    if engine != REFERENCE and model.reason_against(engine) is None:
        _, encoded = Encoder(project, model, engine).encode(frame)
        predictions, certificates = model.answer(encoded), model.certificates(engine)
        examples = encoded
    else:
        decoded = listings_of(project, frame).examples(model.processor(), "test", threads=cores())
        predictions, certificates = model.predict(model.reference_engine(best_device()), decoded), card.certificates
        examples = decoded
    answers = {}
    for k, name in enumerate(card.taxonomy.names):
        probabilities = certificates.probabilities(name, predictions.logits[k], examples.feeds)
        labels, values = examples.labels[:, k], probabilities.shape[1]
        right = probabilities.argmax(axis=1) == labels
        answers[name] = Answers(probabilities.max(axis=1), right, inside=labels < values)
    return answers, examples


def _usable(project: Project, version: str) -> Switched:
    """Loads the model, so that a damaged one cannot become the champion and stop every night's tagging."""
    model = project.model(version)
    _ = model.network
    engine = candidates(project.settings.tag.engine)[0]
    return Switched(version, engine, model.reason_against(engine))
