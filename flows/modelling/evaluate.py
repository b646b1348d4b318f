"""Evaluates a registered model on labelled listings that it never saw."""

import json
from dataclasses import dataclass
from hashlib import sha256

from flows.modelling.encoded import Encoder
from flows.modelling.labelled import labelled_frame, listings_of
from flows.project.project import Project
from flows.reports.model_card import CardFiles, write_model_card
from models.engines.table import EngineName
from models.evaluation.evaluate import evaluate_predictions
from models.evaluation.results import Results
from models.inputs.listings import Listings
from models.inputs.splits import Split
from models.lifecycle.model import Model
from schemas.errors import UserError


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on an engine. `files` is None where the model card was not written anew."""

    model: Model
    engine: str
    data_hash: str
    results: Results
    files: CardFiles | None

    def to_dict(self) -> dict[str, object]:
        """The model, the engine, the data and the results, ready for strict JSON (null for NaN)."""
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
    """Evaluates a model (None: the champion) on the labelled listings of a split and feed (None: all feeds) with an
    engine (None: that of the settings), and stores the results in the catalogue. Results of the whole test split also
    go into the model card. UserError where there are no such listings, or the taxonomy has other values."""
    model = project.model(version)
    if model.card.taxonomy.classes != project.taxonomy.classes:  # the labels would be of other classes than the tags
        raise UserError(
            f"model {model.version} was trained for other attributes or values than the project's taxonomy has, so its "
            "tags cannot be compared with the labels: train again, or restore the taxonomy that it was trained with"
        )
    frame = labelled_frame(project, (split,), model=model, feeds=[feed] if feed else ())
    chosen = model.require_engine(engine or project.settings.tag.engine)
    _, examples = Encoder(project, model, chosen).encode(frame)
    if not len(examples):
        raise UserError(
            f"no labelled listing of {f'feed {feed}' if feed else 'any feed'} belongs to the {split} split: "
            "ingest more labelled listings"
        )
    certificates, used = model.certificates(chosen), str(model.engine_identity(chosen))
    results = evaluate_predictions(model.answer(examples), examples, certificates, model.card.taxonomy, split=split)
    data_hash = _data_hash(listings_of(project, frame))
    project.catalog.store_evaluation(
        model.version, engine=used, split=split, data_hash=data_hash, results=results.to_dict()
    )
    files = None
    if split == "test" and feed is None:
        row = next(row for row in project.catalog.models() if row.model_version == model.version)
        files = write_model_card(model.folder, model.card, row, engine=used, certificates=certificates, results=results)
    return Evaluation(model, used, data_hash, results, files)


def _data_hash(listings: Listings) -> str:
    """SHA-256 over the products, titles, pictures and labels of the listings."""
    digest = sha256()
    columns = (listings.products, listings.titles, listings.labels.tolist(), listings.pictures)
    for product, title, labels, picture in zip(*columns, strict=True):
        digest.update(json.dumps([product, title, labels, sha256(picture or b"").hexdigest()]).encode())
    return digest.hexdigest()
