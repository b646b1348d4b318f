"""Fits a whole model to labelled listings: trains, certifies, learns the noise rules, evaluates, saves."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import torch

from models.engines.features import classify, encode
from models.engines.interface import Predictions
from models.engines.machine import best_device, keep_freed_memory
from models.engines.torch_engine import TorchEngine
from models.evaluation.metrics import evaluate_attributes
from models.inputs.arrays import Bools, Ints, Names
from models.inputs.examples import Examples, other_rows, whole_pairs
from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from models.lifecycle.card import ModelCard, write_card
from models.lifecycle.weights import save_weights
from models.network.cma_clip import CmaClip
from models.network.picture_tower import PictureTower
from models.rules.certificates import Promise
from models.rules.certify import Labelled, certificates_of
from models.rules.noise.fit import fit_noise_rules
from models.training.launch import train_together
from models.training.presets import Preset
from models.training.teacher.soft_targets import with_soft_targets
from models.training.teacher.stored_features import PictureFeatures
from models.training.train import Progress, train
from schemas.errors import UserError
from schemas.taxonomy import Taxonomy

_FEWEST = 50  # listings labelled with a value of an attribute that every split needs


def fit(
    listings: Listings,
    *,
    preset: Preset,
    taxonomy: Taxonomy,
    folder: Path,
    promise: Promise,
    stored_picture_size: int,
    threads: int,
    processes: int = 0,
    cache_bytes: int = 20_000_000_000,
    features: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ModelCard:
    """Trains a model into `folder` and returns its card. An interrupted run resumes from the checkpoints in `folder`.
    `processes` is the number of training processes (0: one a CUDA card, else one), `cache_bytes` the disk space for
    the outputs of frozen parts, `features` the folder that keeps those of a picture tower's trunk. UserError where a
    split has too few labels of an attribute."""
    require_enough(listings.splits, listings.labels, taxonomy)
    keep_freed_memory()
    network = preset.build(taxonomy, load_pretrained=True)
    backbone = network.backbone
    processor = Processor.of(preset.architecture.backbone, backbone)
    processor.require_stored_size(stored_picture_size)
    parts = {
        split: listings.examples(processor, split, threads=threads)
        for split in ("train", "validation", "calibration", "test")
    }
    device = best_device()
    soft_targets = folder / "soft_targets.safetensors"
    hand_made = PictureFeatures(features, most_bytes=cache_bytes)
    parts["train"] = with_soft_targets(parts["train"], network.classes, preset, soft_targets, progress, hand_made)
    learned = network, preset, parts["train"], parts["validation"]
    if (processes := processes or torch.cuda.device_count() or 1) > 1:
        train_together(
            *learned, taxonomy, folder=folder, processes=processes, cache_bytes=cache_bytes, features=features
        )
    history = train(
        *learned, folder=folder, device=device, cache_bytes=cache_bytes, features=features, progress=progress
    )
    predictions = {split: _predict(network, parts[split]) for split in ("validation", "calibration", "test")}
    labelled = {split: Labelled.of(found, parts[split]) for split, found in predictions.items()}
    validation = parts["validation"]
    another = other_rows(len(validation))
    card = finish(
        network,
        labelled,
        _predict(network, validation.with_titles_of(another)),
        whole_pairs(validation.present, another),
        preset=preset,
        taxonomy=taxonomy,
        folder=folder,
        promise=promise,
        feeds=sorted({*parts["train"].feeds.tolist(), *parts["validation"].feeds.tolist()}),
        listings={split: len(examples) for split, examples in parts.items()},
        history=history.accuracy,
    )
    write_card(card, folder)
    soft_targets.unlink(missing_ok=True)
    return card


def finish(
    network: CmaClip,
    labelled: Mapping[str, Labelled],
    swapped: Predictions,
    paired: Bools,
    *,
    preset: Preset,
    taxonomy: Taxonomy,
    folder: Path,
    promise: Promise,
    feeds: list[str],
    listings: dict[str, int],
    history: dict[str, list[float]],
) -> ModelCard:
    """Certifies a trained network, learns its noise rules, evaluates it, and saves its weights to `folder`. Returns its
    card, which is not written yet.

    `labelled` are its predictions for the splits validation, calibration and test; `swapped` those for the validation
    listings under other listings' titles, and `paired` says which of these have picture and title in both.
    """
    validation = labelled["validation"]
    certificates = certificates_of(validation, labelled["calibration"], taxonomy.attributes, promise)
    created, backbone, weights = datetime.now(UTC), network.backbone, save_weights(network, folder)
    probabilities = [
        certificates.probabilities(name, logits, validation.feeds)
        for name, logits in zip(taxonomy.names, validation.predictions.logits, strict=True)
    ]
    return ModelCard(
        version=f"{created:%Y%m%d-%H%M%S}-{weights[:8]}",
        created_at=created.isoformat(timespec="seconds"),
        preset=preset,
        taxonomy=taxonomy,
        image_size=backbone.image_size,
        context_length=backbone.context_length,
        trims_titles=backbone.trims_titles,
        weights=weights,
        target_precision=promise.target_precision,
        confidence=promise.confidence,
        certificates=certificates,
        noise=fit_noise_rules(validation.predictions, swapped, probabilities, validation.labels, paired),
        feeds=feeds,
        listings=listings,
        history=history,
        metrics=evaluate_attributes(labelled["test"], certificates),
        picture_weights=backbone.visual.origin if isinstance(backbone.visual, PictureTower) else None,
    )


def _predict(network: CmaClip, examples: Examples) -> Predictions:
    return classify(network, encode(TorchEngine(network), examples), examples.present)


def require_enough(splits: Names, labels: Ints, taxonomy: Taxonomy) -> None:
    """UserError where a split has too few labels of an attribute: (N,) splits and (N, K) labels of the listings."""
    for k, attribute in enumerate(taxonomy.attributes):
        for split in ("train", "validation", "calibration", "test"):
            of_split = labels[splits == split, k]
            labelled = int(((of_split >= 0) & (of_split < attribute.none_code)).sum())
            if labelled < _FEWEST:
                raise UserError(
                    f"too few labels to train on: {labelled} listings of the {split} split have a label that is a "
                    f"value of {attribute.name!r}, {_FEWEST} are needed. Ingest more labelled listings, map the label "
                    f"column under [feeds.….labels], or take {attribute.name!r} out of the taxonomy."
                )
