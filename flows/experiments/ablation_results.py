"""The results of an ablation: the content of `ablation.json`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import METRICS
from models.experiments.outcomes import Outcome, Splits
from models.experiments.scores import Difference, ImageWeights, Measure, Scores, difference, image_weights, scores
from models.experiments.swapped_listings import CONDITIONS, SHARE, Condition
from models.experiments.variants import counterpart_of, variant_of
from models.training.presets import Preset


@dataclass(frozen=True)
class VariantResults:
    """The results of one variant; empty where it is not compared with a full network, or weighs no modalities."""

    label: str
    seconds: list[float]  # of training, by seed
    metrics: Scores
    behind_full: dict[str, dict[Condition, Difference]]  # full network − variant, by metric
    image_weight: ImageWeights


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
    preset: Preset,
    attributes: tuple[str, ...],
    target_precision: float,
) -> AblationResults:
    """Measures the outcomes, by variant and seed, on the test listings. All variants have the same seeds."""
    feeds, counts = np.unique(splits.test.feeds, return_counts=True)
    data = Data(
        hash=splits.hash,
        train=len(splits.train),
        validation=len(splits.validation),
        test=dict(zip(feeds.tolist(), counts.tolist(), strict=True)),
        left_out=splits.left_out,
        products=len(np.unique(splits.test.products)),
    )
    measures: dict[str, Measure] = {
        "recall": lambda tags, weights: METRICS["recall_oracle"].measure(tags, weights, target_precision),
        "AURC": lambda tags, weights: METRICS["aurc"].measure(tags, weights, target_precision),
    }
    variants = {}
    for name, by_seed in outcomes.items():
        variant, full = variant_of(name), outcomes.get(counterpart_of(name))
        variants[name] = VariantResults(
            label=variant.label,
            seconds=[outcome.seconds for outcome in by_seed.values()],
            metrics=scores(by_seed, splits.test, attributes, target_precision),
            behind_full={
                metric: {given: difference(full, by_seed, splits.test, given, measure) for given in CONDITIONS}
                for metric, measure in measures.items()
            }
            if full and name != "full"
            else {},
            image_weight=image_weights(by_seed, splits.test, attributes) if variant.weighs_modalities else {},
        )
    seeds = len(next(iter(outcomes.values())))
    return AblationResults(preset, data, seeds, SHARE, list(attributes), target_precision, variants)
