"""The results of an ablation: the content of `ablation.json`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.experiments.image_weights import ImageWeights, image_weights
from models.experiments.outcomes import Outcome
from models.experiments.scores import (
    Bootstrap,
    Detection,
    Difference,
    Scores,
    bootstrap,
    difference,
    mismatch_detection,
    scores,
)
from models.experiments.splits import Compared, Splits, sizes
from models.experiments.swapped_listings import SHARE
from models.experiments.variants import counterpart_of, variant_of
from models.training.presets import Preset


@dataclass(frozen=True)
class ReadingResults:
    """What is measured of a variant's answers. `behind_full` is full network − variant, by metric and what is given;
    empty where the variant is not compared with a full network."""

    metrics: Scores
    behind_full: dict[str, dict[str, Difference]]


@dataclass(frozen=True)
class VariantResults:
    """The results of one variant. `heads` are those of its heads alone, `pooled` those of heads and probes together; a
    variant without a pool has the same answers in both. `pooled` is None where no variant has a pool, and the other
    parts are empty for variants that do not have them."""

    label: str
    seconds: list[float]  # of training, by seed
    heads: ReadingResults
    pooled: ReadingResults | None
    image_weight: ImageWeights
    mismatch: Detection


@dataclass(frozen=True)
class Data:
    """The numbers of listings that variants are trained, chosen and (by feed) measured on."""

    hash: str
    train: int
    validation: int
    test: dict[str, int]
    left_out: int  # test listings without picture or without title
    products: int  # of the test listings


@dataclass(frozen=True)
class AblationResults:
    """The results of all variants, by name, and what they were made from."""

    preset: Preset
    data: Data
    seeds: int
    swapped_share: float
    attributes: list[str]
    target_precision: float
    variants: dict[str, VariantResults]


def compare(
    outcomes: Mapping[str, Mapping[int, Outcome]],
    splits: Splits,
    test: Compared,
    preset: Preset,
    attributes: tuple[str, ...],
    target_precision: float,
    *,
    labels: int | None = None,
) -> AblationResults:
    """Measures the outcomes, by variant and seed, on the test listings. All variants have the same seeds. `labels` is
    the number of training listings that they learned from (None: all)."""
    train, validation = len(splits.train.titles), len(splits.validation.titles)
    if labels is not None:
        train, validation = sizes(labels, train, validation)
    feeds, counts = np.unique(test.feeds, return_counts=True)
    data = Data(
        hash=splits.hash,
        train=train,
        validation=validation,
        test=dict(zip(feeds.tolist(), counts.tolist(), strict=True)),
        left_out=splits.left_out,
        products=len(np.unique(test.products)),
    )
    resampled = {name: bootstrap(by_seed, test, target_precision) for name, by_seed in outcomes.items()}
    heads = {
        name: ReadingResults(scores(by_seed, test, attributes, target_precision), _behind_full(name, resampled))
        for name, by_seed in outcomes.items()
    }
    read = {
        name: {seed: outcome.read_by("pooled") for seed, outcome in by_seed.items()}
        for name, by_seed in outcomes.items()
        if all(outcome.pooled for outcome in by_seed.values())
    }
    resampled |= {name: bootstrap(by_seed, test, target_precision) for name, by_seed in read.items()}
    pooled = {
        name: ReadingResults(
            scores(read[name], test, attributes, target_precision) if name in read else of_heads.metrics,
            _behind_full(name, resampled),
        )
        for name, of_heads in heads.items()
        if read
    }
    variants = {
        name: VariantResults(
            label=variant_of(name).label,
            seconds=[outcome.seconds for outcome in by_seed.values()],
            heads=heads[name],
            pooled=pooled.get(name),
            image_weight=image_weights(by_seed, test, attributes) if variant_of(name).weighs_modalities else {},
            mismatch=mismatch_detection(by_seed, test),
        )
        for name, by_seed in outcomes.items()
    }
    seeds = len(next(iter(outcomes.values())))
    return AblationResults(preset, data, seeds, SHARE, list(attributes), target_precision, variants)


def _behind_full(name: str, resampled: Mapping[str, Bootstrap]) -> dict[str, dict[str, Difference]]:
    """By metric and what is given, full network − variant; {} for the full network, and without one."""
    full, other = resampled.get(counterpart_of(name)), resampled[name]
    if full is None or name == "full":
        return {}
    return {
        metric: {given: difference(full[metric][given], found) for given, found in of_metric.items()}
        for metric, of_metric in other.items()
    }
