"""Fits new heads to labelled listings whose features are stored, from a model whose encoder stays as it is."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.engines.encoded_listings import EncodedListings
from models.engines.features import classify
from models.engines.interface import Predictions
from models.engines.machine import keep_freed_memory
from models.engines.table import EngineName
from models.inputs.arrays import Bools
from models.inputs.examples import whole_pairs
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.fit import finish, require_enough
from models.lifecycle.gate import compare
from models.lifecycle.model import Model
from models.network.cma_clip import CmaClip
from models.rules.certificates import Promise
from models.rules.certify import Labelled
from models.training.heads import heads_preset, train_heads
from models.training.presets import Preset
from models.training.stage import Progress
from models.training.teacher.opinion_pool import Shown, fit_pool_on
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy


@dataclass(frozen=True)
class HeadsData:
    """What heads are fitted to: labelled listings by split, encoded by one engine of the source model.

    Row i of `swapped` is the validation listing i under the title of row `another[i]`, or as it is where one of the two
    lacks picture or title. `gate` are calibration listings as that engine encodes them, and as the reference does; None
    where the engine is the reference.
    """

    splits: Mapping[str, EncodedListings]
    swapped: EncodedListings
    another: np.ndarray
    gate: tuple[EncodedListings, EncodedListings] | None

    @property
    def paired(self) -> Bools:
        """(N,) whether a row of `swapped` is of two listings that both have picture and title."""
        return whole_pairs(self.splits["validation"].present, self.another)


def fit_heads(
    source: Model,
    engine: EngineName,
    data: HeadsData,
    *,
    taxonomy: Taxonomy,
    folder: Path,
    promise: Promise,
    progress: Callable[[Progress], None] | None = None,
) -> ModelCard:
    """Fits modality-wise attentions, heads, probes, certificates and noise rules for `taxonomy` into `folder`; returns
    the new model's card. The encoder is the source's, and so is its compiled engine, whose features the listings are.
    UserError where a split has too few labels of an attribute."""
    splits = data.splits
    names = np.concatenate([np.full(len(listings), split) for split, listings in splits.items()])
    require_enough(names, np.concatenate([listings.labels for listings in splits.values()]), taxonomy)
    keep_freed_memory()
    network = with_heads_for(source, taxonomy)
    preset = heads_preset(source.card.preset, len(splits["train"]))
    history = train_heads(network, preset, splits["train"], splits["validation"], progress=progress)
    if preset.pools_probes:
        _fit_pool(network, data, preset)

    def predict(listings: EncodedListings) -> Predictions:
        return classify(network, listings.features, listings.present)

    if data.gate:
        gate = compare(*(predict(listings) for listings in data.gate))
        if not gate.passed:
            raise UserError(f"the {engine} engine of {source.version} fails its gate here ({gate}): run `cma compile`")
    labelled = {split: Labelled.of(predict(part), part) for split, part in splits.items() if split != "train"}
    card = finish(
        network,
        labelled,
        predict(data.swapped),
        data.paired,
        preset=preset,
        taxonomy=taxonomy,
        folder=folder,
        promise=promise,
        feeds=sorted({*splits["train"].feeds.tolist(), *splits["validation"].feeds.tolist()}),
        listings={split: len(part) for split, part in splits.items()},
        history={preset.stages[0].name: history},
    )
    card = replace(card, picture_weights=source.card.picture_weights)
    if data.gate and (built := source.engine_card(engine)):
        shutil.copytree(source.folder / "engines", folder / "engines", dirs_exist_ok=True)
        made = replace(built, weights=card.weights, gate=gate, certificates=card.certificates, metrics=card.metrics)
        made.write(folder)
        # Nothing was certified on the reference engine's outputs.
        card = replace(card, certificates=replace(card.certificates, feeds={}))
    write_card(card, folder)
    return card


def with_heads_for(source: Model, taxonomy: Taxonomy) -> CmaClip:
    """A copy of the model's network with heads for another taxonomy. Attributes with the same values keep their heads;
    the heads of all others are random."""
    old = source.network
    network = source.card.preset.build(taxonomy, load_pretrained=False)
    places = {attribute: place for place, attribute in enumerate(source.card.taxonomy.classes)}
    by_task = (network.modality_attentions, network.heads, network.image_probes, network.title_probes)
    trained = (old.modality_attentions, old.heads, old.image_probes, old.title_probes)
    for k, attribute in enumerate(taxonomy.classes):
        if (place := places.get(attribute)) is not None:
            for new, before in zip(by_task, trained, strict=True):
                new[k].load_state_dict(before[place].state_dict())
    network.backbone.load_state_dict(old.backbone.state_dict())
    network.sequence_attention.load_state_dict(old.sequence_attention.state_dict())
    network.matching.load_state_dict(old.matching.state_dict())
    network.alignments.load_state_dict(old.alignments.state_dict())
    return network.eval()


def _fit_pool(network: CmaClip, data: HeadsData, preset: Preset) -> None:
    """Fits the pool as training does. A swapped pair has another's title for the listing of its picture, and another's
    picture for the listing of its title."""
    clean, pairs, another, both = data.splits["validation"], data.swapped, data.another, data.paired
    shown = [Shown(clean.features, clean.present, clean.labels, np.where(both, 1 - preset.swapped, 1.0))]
    if preset.swapped:
        swapped, shares = pairs.take(both), (preset.of_titles, 1 - preset.of_titles)
        for labels, share in zip((clean.labels[both], clean.labels[another][both]), shares, strict=True):
            counts = np.full(both.sum(), preset.swapped * share)
            shown.append(Shown(swapped.features, swapped.present, labels, counts))
    fit_pool_on(network, shown)
