"""The plots of the model card, as SVG texts. No global state of matplotlib is used."""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from models.evaluation.intervals import clopper_pearson
from models.evaluation.results import AttributeResults, Bin

_INK, _QUIET, _LINE, _ACCENT = "#1d2129", "#626a76", "#2f6690", "#a3320b"
_MOST_VALUES = 40  # rows of a confusion matrix; the rarest values beyond are merged
_STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",  # readable on pages of any colour
    "font.size": 9,
    "text.color": _INK,
    "text.parse_math": False,  # a value may have a $ in its name
    "axes.edgecolor": _QUIET,
    "axes.labelcolor": _QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _QUIET,
    "ytick.color": _QUIET,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "cma",  # the same plot is the same file
}


def reliability(bins: Sequence[Bin]) -> str:
    """Accuracy against confidence with exact 95 % intervals, above the number of listings in each bin."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.4, 4.4), layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        confidence = np.array([part.confidence for part in bins])
        accuracy = np.array([part.accuracy for part in bins])
        exact = [clopper_pearson(round(part.accuracy * part.listings), part.listings) for part in bins]
        spread = np.abs([[part.low for part in exact] - accuracy, [part.high for part in exact] - accuracy])
        upper.plot([0, 1], [0, 1], color=_QUIET, linestyle="--", linewidth=1, label="confidence = accuracy")
        upper.errorbar(confidence, accuracy, yerr=spread, color=_LINE, marker="o", markersize=4, linewidth=1.2)
        upper.set(ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.02))
        upper.legend(loc="lower right")
        bars = lower.bar(
            [part.low for part in bins],
            [part.listings for part in bins],
            width=[part.high - part.low for part in bins],
            align="edge",
            color=_LINE,
            alpha=0.55,
            edgecolor="white",
        )
        lower.bar_label(bars, fontsize=6.5, color=_QUIET, padding=1)
        lower.set(xlabel="confidence", ylabel="listings")
        lower.margins(y=0.25)
        return _svg(figure)


def precision_curve(results: AttributeResults, target_precision: float) -> str:
    """Precision against coverage as the threshold falls, with the point of the accepted tags."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.4, 4.4), layout="constrained")
        axes = figure.subplots()
        coverage = [point.coverage for point in results.curve]
        precision = [point.precision for point in results.curve]
        axes.plot(coverage, precision, color=_LINE, linewidth=1.5, drawstyle="steps-pre")
        axes.axhline(target_precision, color=_QUIET, linestyle="--", linewidth=1)
        above = precision[-1] < target_precision  # the text stands on the side without the curve
        axes.annotate(
            f"target {target_precision:.0%}", (1, target_precision), (-3, 3 if above else -3), ha="right",
            textcoords="offset points", va="bottom" if above else "top", color=_QUIET,
        )  # fmt: skip
        accepted = results.overall.metrics["coverage"].value, results.overall.metrics["precision"].value
        if accepted[0]:
            axes.plot(*accepted, marker="o", color=_ACCENT, markersize=7)
            axes.axvline(accepted[0], color=_ACCENT, linestyle=":", linewidth=1)
            text = f"accepted: precision {accepted[1]:.3f}\nat coverage {accepted[0]:.3f}"
            left = accepted[0] > 0.5  # below on the left, or above on the right: the curve falls between them
            axes.annotate(
                text, accepted, (-8, -10) if left else (8, 10), textcoords="offset points", color=_ACCENT,
                ha="right" if left else "left", va="top" if left else "bottom",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
            )  # fmt: skip
        axes.set(
            xlabel="coverage: share of labelled listings that are tagged",
            ylabel="precision",
            xlim=(0, 1.01),
            ylim=(max(0, min([*precision, target_precision]) - 0.05), 1.01),
        )
        return _svg(figure)


def confusion(counts: Sequence[Sequence[int]], values: Sequence[str]) -> str:
    """For each labelled value (row), the per cent tagged with each value; shares under half a per cent are blank."""
    matrix, names = _most_labelled(np.array(counts), list(values))
    labelled = matrix.sum(axis=1)
    shares = matrix / np.maximum(labelled, 1)[:, None]
    with matplotlib.rc_context(_STYLE):
        side = 1.6 + 0.34 * len(names)
        figure = Figure(figsize=(side + 0.4, side), layout="constrained")
        axes = figure.subplots()
        axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors="white", linewidth=0.5)
        for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
            shade = "white" if shares[row, column] > 0.55 else _INK
            axes.text(
                column + 0.5, row + 0.5, f"{100 * shares[row, column]:.0f}", ha="center", va="center",
                color=shade, fontsize=7.5,
            )  # fmt: skip
        places = np.arange(len(names)) + 0.5
        axes.set_xticks(places, names, rotation=90)
        axes.set_yticks(places, [f"{name} ({count})" for name, count in zip(names, labelled, strict=True)])
        axes.tick_params(length=0)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("top")
        axes.set(xlabel="tagged", ylabel="labelled (listings)", aspect="equal")
        axes.invert_yaxis()
        axes.spines[:].set_visible(False)
        return _svg(figure)


def learning_curve(history: Mapping[str, Sequence[float]]) -> str:
    """Validation accuracy before each stage and after each of its epochs."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(9, 3), layout="constrained")
        axes = figure.subplots()
        epoch = 0
        for stage, accuracy in history.items():
            epochs = epoch + np.arange(len(accuracy))
            axes.plot(epochs, accuracy, marker="o", markersize=3.5, linewidth=1.2, label=stage)
            epoch = int(epochs[-1])
            axes.axvline(epoch, color=_QUIET, linestyle=":", linewidth=0.7)
        axes.set(xlabel="epochs", ylabel="validation accuracy")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        figure.legend(loc="outside right center")
        return _svg(figure)


class Curve(NamedTuple):
    """A line of `learning_curves`: at each number of labels the mean, and the deviation to both sides."""

    label: str
    points: Sequence[tuple[float, float]]


def learning_curves(labels: Sequence[int], panels: Mapping[str, Sequence[Curve]]) -> str:
    """Each metric in a panel of its own, against the number of labels on a logarithmic axis."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(4.2 * len(panels) + 2.4, 3.6), layout="constrained")
        for axes, (title, curves) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            for curve in curves:
                mean, deviation = np.array(curve.points).T
                line = {"label": curve.label} if axes is figure.axes[0] else {}
                axes.errorbar(labels, mean, yerr=deviation, marker="o", markersize=3.5, linewidth=1.2, **line)
            axes.set(xscale="log", xlabel="labelled training listings", ylabel=title)
            axes.set_xticks(list(labels), [f"{count:,}" for count in labels])
            axes.minorticks_off()
        figure.legend(loc="outside right center")
        return _svg(figure)


def _most_labelled(matrix: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """The (K, K) counts and names, with the rarest values beyond `_MOST_VALUES` merged into one row and column."""
    if len(names) <= _MOST_VALUES:
        return matrix, names
    order = np.argsort(-matrix.sum(axis=1), kind="stable")
    shown = _MOST_VALUES - 1
    place = np.empty(len(names), dtype=int)
    place[order] = np.minimum(np.arange(len(names)), shown)
    merged = np.zeros((_MOST_VALUES, _MOST_VALUES), dtype=matrix.dtype)
    np.add.at(merged, (place[:, None], place[None, :]), matrix)
    return merged, [*(names[row] for row in order[:shown]), f"{len(names) - shown} others"]


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    with warnings.catch_warnings():
        # The file holds text, whose glyphs only the browser needs.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return text.getvalue()
