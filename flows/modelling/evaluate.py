"""Evaluates a registered model on labelled listings that it never saw."""

import json
from dataclasses import dataclass
from hashlib import sha256

from flows.modelling.labelled import labelled_listings
from flows.project.project import Project, cores
from flows.reports.model_card import CardFiles, write_model_card
from models.engines.table import EngineName
from models.evaluation.evaluate import evaluate_predictions
from models.evaluation.results import Results
from models.inputs.listings import Listings
from models.inputs.splits import Split
from models.lifecycle.model import Model
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on an engine. `files` is None where the model card was not written anew."""

    model: Model
    engine: str
    data_hash: str
    results: Results
    files: CardFiles | None

    def to_dict(self) -> dict[str, object]:
        """For strict JSON."""
        origin = {"model_version": self.model.version, "engine": self.engine, "data_hash": self.data_hash}
        return {**origin, **self.results.to_dict()}


def evaluate_model(
    project: Project,
    version: str | None = None,
    *,
    split: Split = "test",
    feed: str | None = None,
    engine: EngineName | None = None,
) -> Evaluation:
    """Evaluates a model (the champion, where no version is named) on the labelled listings of a split, of one feed or
    of all, and stores the results in the catalogue. Results of the whole test split also go into the model card.
    `engine` None: that of the settings. UserError where there are no such listings."""
    model = project.model(version)
    _require_same_values(model, project.taxonomy)
    listings = labelled_listings(project, (split,), model=model, feeds=[feed] if feed else ())
    examples = listings.examples(model.processor(), split, threads=cores())
    if not len(examples):
        raise UserError(
            f"no labelled listing of {f'feed {feed}' if feed else 'any feed'} belongs to the {split} split: "
            "ingest more labelled listings"
        )
    runner, certificates = model.open_engine(engine or project.settings.tag.engine, threads=cores())
    predictions = model.predict(runner, examples)
    results = evaluate_predictions(predictions, examples, certificates, model.card.taxonomy, split=split)
    used, data_hash = str(runner.identity), _data_hash(listings)
    project.catalog.store_evaluation(
        model.version, engine=used, split=split, data_hash=data_hash, results=results.to_dict()
    )
    files = None
    if split == "test" and feed is None:
        row = next(row for row in project.catalog.models() if row.model_version == model.version)
        files = write_model_card(model.folder, model.card, row, engine=used, certificates=certificates, results=results)
    return Evaluation(model, used, data_hash, results, files)


def _require_same_values(model: Model, taxonomy: Taxonomy) -> None:
    """UserError unless the labels, which the project's taxonomy reads, have the classes that the model's tags have."""
    learned, wanted = ([(a.name, a.value_names) for a in known.attributes] for known in (model.card.taxonomy, taxonomy))
    if learned != wanted:
        raise UserError(
            f"model {model.version} was trained for other attributes or values than the project's taxonomy has, so its "
            "tags cannot be compared with the labels: train again, or restore the taxonomy that it was trained with"
        )


def _data_hash(listings: Listings) -> str:
    """SHA-256 over the products, titles, pictures and labels of the listings."""
    digest = sha256()
    columns = (listings.products, listings.titles, listings.labels.tolist(), listings.pictures)
    for product, title, labels, picture in zip(*columns, strict=True):
        digest.update(json.dumps([product, title, labels, sha256(picture or b"").hexdigest()]).encode())
    return digest.hexdigest()
