"""Commands that experiment: ablate and bench. They change neither the catalogue nor the models."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import Config, JsonFile, open_project, out, write_json
from flows.cli.printing import experiments
from schemas.errors import ConfigurationError


def ablate(
    feeds: Annotated[list[str] | None, typer.Option("--feed", help="Only this feed; may be repeated.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds that each variant is trained with.")] = 3,
    variants: Annotated[str, typer.Option(help="Names of variants, separated by commas (default: all).")] = "",
    epochs: Annotated[
        list[str] | None, typer.Option(help="STAGE=N: epochs of a stage, instead of the preset's; may be repeated.")
    ] = None,
    labels: Annotated[
        str,
        typer.Option(help="Learning curves: train on so many labelled listings each, such as 500,1000,2500."),
    ] = "",
    most_per_feed: Annotated[
        int | None,
        typer.Option(min=100, help="At most so many training listings of each feed, drawn by product."),
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Folder for the results (default: HOME/ablation).")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Number of variants trained at the same time.")] = 1,
    config: Config = None,
) -> None:
    """Trains the network without some of its parts, and simpler methods, on this catalogue, and compares them.

    Variants: classical, zero-shot, contrastive, title-only, picture-only, late-fusion, without-ma-sa, without-ma, full.
    A network can also be trained with another option of the preset, where the option takes effect after the towers:
    full+swapped=0 or without-ma+swapped=0, or swapped=0 for short.

    It takes hours. An interrupted run resumes when it is run again.
    """
    from flows.experiments.ablate import Request
    from flows.experiments.ablate import ablate as ablate_project
    from flows.experiments.learning_curves import trace_curves

    asked = Request(
        feeds=feeds or (),
        most_per_feed=most_per_feed,
        seeds=seeds,
        variants=[name.strip() for name in variants.split(",") if name.strip()],
        epochs=parse_epochs(epochs or ()),
        folder=folder,
        processes=processes,
    )
    if counts := parse_labels(labels):
        experiments.print_curves(out, trace_curves(open_project(config), asked, counts))
    else:
        experiments.print_ablation(out, ablate_project(open_project(config), asked))


def bench(
    preset: Annotated[
        str | None, typer.Option(help="Measure this preset's network with random weights, instead of the champion.")
    ] = None,
    listings: Annotated[int, typer.Option(min=64, help="Number of listings, drawn at random.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds; medians over them are printed.")] = 5,
    json_file: JsonFile = None,
    config: Config = None,
) -> None:
    """Measures how fast the network runs here: in plain PyTorch, on each engine, and in a worker of `cma tag`.

    Each runs in a process of its own, and they take turns, so that ratios also hold on a busy machine. It takes some
    minutes.
    """
    from flows.experiments.bench import bench as run_bench

    done = run_bench(open_project(config), preset_name=preset, listings=listings, rounds=rounds)
    experiments.print_bench(out, done)
    write_json(json_file, asdict(done))


def parse_epochs(texts: Iterable[str]) -> dict[str, int]:
    """Epochs by stage, from texts STAGE=N; ConfigurationError where a text is not of this form."""
    epochs = {}
    for text in texts:
        stage, equals, count = text.partition("=")
        if not (equals and count.isascii() and count.isdigit()):
            raise ConfigurationError(f"--epochs: {text!r} is not STAGE=N, such as end-to-end=3")
        epochs[stage] = int(count)
    return epochs


def parse_labels(text: str) -> list[int]:
    """The numbers of a text such as `500,1000`; ConfigurationError where one is not a number of at least 100."""
    counts = [part.strip() for part in text.split(",") if part.strip()]
    for count in counts:
        if not (count.isascii() and count.isdigit() and int(count) >= 100):
            raise ConfigurationError(f"--labels: {count!r} is not a number of listings of at least 100")
    return [int(count) for count in counts]
