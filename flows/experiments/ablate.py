"""The ablation on a catalogue: compares the network with variants that lack a part, and with simpler methods."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from flows.experiments.ablation_results import AblationResults, compare
from flows.experiments.ablation_runs import Recipe, read_splits, train_missing
from flows.experiments.ablation_tables import markdown
from flows.project.progress import console
from flows.project.project import Project
from models.experiments.outcomes import Outcome, late_fusion
from models.experiments.variants import FUSED, OPTIONS, VARIANTS, variant_of
from schemas.errors import ConfigurationError
from schemas.files import write_whole


@dataclass(frozen=True)
class AblationSummary:
    folder: Path
    results: AblationResults  # the content of `<folder>/ablation.json`


def ablate(
    project: Project,
    *,
    feeds: Collection[str] = (),
    seeds: int = 3,
    variants: Collection[str] = (),
    epochs: Mapping[str, int] | None = None,
    folder: Path | None = None,
    processes: int = 1,
) -> AblationSummary:
    """Trains the variants that have no outcome yet, compares all, and writes `ablation.json` and `ablation.md` into a
    folder of `folder` (None: `<home>/ablation`) that is named by a hash of data, preset and taxonomy.
    ConfigurationError where there is no such variant, feed or stage."""
    chosen = _chosen(variants)
    project.require_feeds(feeds)
    asked = project.settings.model.chosen_preset(epochs)
    with project.run("ablate") as run:
        splits = read_splits(project, tuple(feeds), asked)
        for feed in splits.unmeasured:
            console.print(
                f"[yellow]feed {feed} is not measured: none of its test listings has both picture and title[/yellow] "
                f"(`cma sql \"from unusable_pictures where feed = '{feed}'\"` says why)"
            )
        key = json.dumps([splits.hash, asdict(asked), project.taxonomy.to_dict()])
        place = (folder or project.home / "ablation").resolve() / sha256(key.encode()).hexdigest()[:12]
        place.mkdir(parents=True, exist_ok=True)
        recipe = Recipe(project.config, tuple(feeds), asked, splits.hash, place)
        train_missing(recipe, _trained(chosen), range(seeds), processes=processes)
        outcomes = {name: {seed: _outcome(recipe, name, seed) for seed in range(seeds)} for name in chosen}
        results = compare(outcomes, splits, asked, project.taxonomy.names, project.settings.tag.target_precision)
        write_whole(place / "ablation.json", json.dumps(asdict(results), indent=1))
        write_whole(place / "ablation.md", markdown(results))
        run.summary.update(folder=str(place), seeds=seeds, variants=", ".join(chosen))
    return AblationSummary(place, results)


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
