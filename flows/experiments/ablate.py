"""The ablation on a catalogue: compares the network with variants that lack a part, and with simpler methods."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from flows.experiments.ablation_results import AblationResults, compare
from flows.experiments.ablation_runs import Recipe, train_missing
from flows.experiments.ablation_tables import markdown
from flows.modelling.labelled import labelled_listings
from flows.project.progress import console
from flows.project.project import Project
from models.experiments.outcomes import Outcome, late_fusion
from models.experiments.splits import Splits
from models.experiments.variants import FUSED, OPTIONS, VARIANTS, variant_of
from models.training.presets import Preset
from schemas.errors import ConfigurationError
from schemas.files import write_whole


@dataclass(frozen=True)
class AblationSummary:
    folder: Path
    results: AblationResults  # the content of `<folder>/ablation.json`


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to compare: `variants` by name (none: all), on these `feeds` (none: all) with `most_per_feed` training
    listings at most of each, with `seeds` seeds; `epochs` replace those of the preset's stages."""

    feeds: Collection[str] = ()
    most_per_feed: int | None = None
    seeds: int = 3
    variants: Collection[str] = ()
    epochs: Mapping[str, int] = field(default_factory=dict)
    folder: Path | None = None  # for the results; None: `<home>/ablation`
    processes: int = 1


def ablate(project: Project, asked: Request) -> AblationSummary:
    """Trains the variants that have no outcome yet, compares all, and writes `ablation.json` and `ablation.md` into a
    folder that is named by a hash of data, preset and taxonomy. ConfigurationError where there is no such variant, feed
    or stage."""
    with project.run("ablate") as run:
        study = Study.open(project, asked)
        (results,) = study.run([None])
        run.summary.update(folder=str(study.folder), seeds=asked.seeds, variants=", ".join(study.chosen))
    return AblationSummary(study.folder, results)


@dataclass(frozen=True)
class Study:
    """An ablation whose listings are known. `folder` has its results."""

    project: Project
    asked: Request
    chosen: tuple[str, ...]
    preset: Preset
    splits: Splits
    folder: Path

    @classmethod
    def open(cls, project: Project, asked: Request) -> "Study":
        chosen = _chosen(asked.variants)
        project.require_feeds(asked.feeds)
        wanted = project.settings.model.chosen_preset(asked.epochs)
        splits = Splits.of(labelled_listings(project, feeds=asked.feeds), most_per_feed=asked.most_per_feed)
        for feed in splits.unmeasured:
            console.print(
                f"[yellow]feed {feed} is not measured: none of its test listings has both picture and title[/yellow] "
                f"(`cma sql \"from unusable_pictures where feed = '{feed}'\"` says why)"
            )
        key = json.dumps([splits.hash, asdict(wanted), project.taxonomy.to_dict()])
        place = (asked.folder or project.home / "ablation").resolve() / sha256(key.encode()).hexdigest()[:12]
        return cls(project, asked, chosen, wanted, splits, place)

    def run(self, labels: Sequence[int | None]) -> list[AblationResults]:
        """Trains what is missing, and returns the results for each number of training listings (None: all)."""
        recipes = [self._recipe(count) for count in labels]
        seeds = range(self.asked.seeds)
        train_missing(recipes, self.splits, self.project, _trained(self.chosen), seeds, processes=self.asked.processes)
        test, target = self.splits.compared(self.project.taxonomy), self.project.settings.tag.target_precision
        found = []
        for recipe in recipes:
            outcomes = {name: {seed: _outcome(recipe, name, seed) for seed in seeds} for name in self.chosen}
            names = self.project.taxonomy.names
            results = compare(outcomes, self.splits, test, self.preset, names, target, labels=recipe.labels)
            write_whole(recipe.folder / "ablation.json", json.dumps(asdict(results), indent=1))
            write_whole(recipe.folder / "ablation.md", markdown(results))
            found.append(results)
        return found

    def _recipe(self, labels: int | None) -> Recipe:
        place = self.folder if labels is None else self.folder / f"labels-{labels}"
        return Recipe(self.project.config, self.preset, self.folder / "listings", place, labels)


def _chosen(names: Collection[str]) -> tuple[str, ...]:
    """The named variants (none: all of `VARIANTS`) in the order of the tables."""
    for name in names:
        try:
            variant_of(name)
        except KeyError:
            raise ConfigurationError(
                f"--variants: there is no variant {name!r}; there are {', '.join(VARIANTS)}. To change options of "
                f"a variant, write VARIANT+OPTION=NUMBER; options are {', '.join(OPTIONS)}"
            ) from None
    wanted = dict.fromkeys(names or VARIANTS)
    return (*(name for name in VARIANTS if name in wanted), *(name for name in wanted if name not in VARIANTS))


def _trained(names: Collection[str]) -> tuple[str, ...]:
    """The variants to train: late fusion is made from the outcomes of its parts, which are trained instead."""
    wanted = [*names, *FUSED] if "late-fusion" in names else names
    return tuple(name for name in _chosen(wanted) if variant_of(name).kind != "late fusion")


def _outcome(recipe: Recipe, name: str, seed: int) -> Outcome:
    if variant_of(name).kind == "late fusion":
        return late_fusion([_outcome(recipe, part, seed) for part in FUSED])
    outcome = Outcome.read(recipe.outcome(name, seed))
    assert outcome is not None, name
    return outcome
