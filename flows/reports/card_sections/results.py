"""Sections on the metrics of a model on held-out listings."""

from collections.abc import Mapping

from flows.reports import plots
from flows.reports.card_sections.parts import Plot, Section, Table
from flows.reports.metric_texts import kept_title, metric_titles, number_text, with_interval
from models.evaluation.results import AttributeResults, Results, Subset, ValueMetrics


def overview(results: Results) -> Section:
    whole = {name: found.overall for name, found in results.attributes.items()}
    counts = ", ".join(f"{count} of {feed}" for feed, count in results.feeds.items())
    return Section(
        "What it reached",
        text=[
            f"On {results.listings} labelled listings of the {results.split} split ({counts}), whose products training "
            "has not seen. In brackets are 95 % intervals, by bootstrap over products.",
            "A listing outside the taxonomy is labelled with none of its values: every accepted tag is wrong there. "
            "Accuracy, F1 and recall are of the other listings. "
            f"R@{results.target_precision:.0%} is the share of these that are tagged right at the best "
            "threshold that keeps this precision on all of the listings; recall, precision and coverage are of the "
            "tags that the certified thresholds accept. Labels are ambiguous, so top-2 accuracy counts the second "
            "guess, too. λ is 1 where a tag comes from the picture alone, and 0 where it comes from the title alone.",
        ],
        tables=[_metrics(whole, results.target_precision)],
    )


def attributes(results: Results) -> list[Section]:
    """A section for each attribute."""
    return [_attribute(name, found, results.target_precision) for name, found in results.attributes.items()]


def _attribute(name: str, found: AttributeResults, target_precision: float) -> Section:
    shares = ("precision", "recall", "F1")
    by_value = Table(
        ("value", "labelled", "tagged", *shares, "accepted", "precision of these", "recall of these"),
        [_value(row) for row in found.values],
        "By value; intervals of shares are exact binomial ones (Clopper–Pearson), that of F1 is by bootstrap",
    )
    parts = {**found.feeds, **found.kinds}
    return Section(
        name,
        tables=[
            *([_metrics(parts, target_precision, "By feed, and by what the listing has")] if parts else []),
            by_value,
        ],
        plots=[
            Plot(
                f"{name}-reliability",
                plots.reliability(found.reliability),
                f"Reliability of {name}: accuracy by confidence, with exact 95 % intervals, over counts of listings.",
            ),
            Plot(
                f"{name}-precision",
                plots.precision_curve(found, target_precision),
                f"Precision of {name} against coverage, as the threshold falls.",
            ),
            Plot(
                f"{name}-confusion",
                plots.confusion(found.confusion, [row.value for row in found.values]),
                f"Confusion of {name}: of the listings labelled with a value, per cent that are tagged with each.",
            ),
        ],
    )


def _metrics(subsets: Mapping[str, Subset], target_precision: float, caption: str = "") -> Table:
    rows = [
        ("labelled listings", *(str(part.labelled) for part in subsets.values())),
        ("of these outside the taxonomy", *(str(part.outside) for part in subsets.values())),
        ("their products", *(str(part.products) for part in subsets.values())),
    ]
    for metric, heading in metric_titles(target_precision).items():
        estimates = (part.metrics[metric] for part in subsets.values())
        rows.append((heading, *map(with_interval, estimates)))
    rows.append((kept_title(target_precision), *(number_text(part.promise_kept) for part in subsets.values())))
    return Table(("", *subsets), rows, caption)


def _value(row: ValueMetrics) -> tuple[str, ...]:
    """Cells of a value, with two digits: it has too few listings for a third."""
    shares = (with_interval(share, digits=2) for share in (row.precision, row.recall, row.f1))
    of_accepted = (with_interval(share, digits=2) for share in (row.accepted_precision, row.accepted_recall))
    return row.value, str(row.labelled), str(row.predicted), *shares, str(row.accepted), *of_accepted
