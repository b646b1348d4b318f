"""Sections on what a model cannot do, and how well it finds noisy listings."""

from flows.reports.card_sections.parts import Section, Table
from models.evaluation.results import Results
from models.lifecycle.card import ModelCard
from models.rules.certificates import Certificates
from models.rules.noise.kinds import KINDS

_FEW = 20  # with fewer labelled test listings, the metrics of a value are unreliable
_QUALITIES = ("auroc", "average_precision", "precision", "recall")


def noise(card: ModelCard) -> Section:
    heading = "How well it finds noisy listings"
    measured = {kind: quality for kind, quality in card.noise.quality.items() if set(_QUALITIES) <= set(quality)}
    if not measured:
        return Section(heading, text=["Not measured."])
    shares = {f"{quality['assumed_share']:.0%}" for quality in measured.values()}
    rows = [
        (_title(kind), f"{card.noise.thresholds[kind]:.2f}", *(f"{quality[key]:.2f}" for key in _QUALITIES))
        for kind, quality in measured.items()
    ]
    return Section(
        heading,
        text=[
            "Measured on validation listings with injected faults: titles swapped between listings, labels drawn at "
            f"random. Precision is what it would be if {' or '.join(sorted(shares))} of the listings were faulty. A "
            "catalogue's own faults may be subtler than these."
        ],
        tables=[
            Table(("evidence", "threshold", "AUROC", "average precision", "precision of flags", "faults found"), rows)
        ],
    )


def _title(kind: str) -> str:
    """The title of a kind within a sentence; its name, where this version does not know the kind."""
    return KINDS[kind].title[0].lower() + KINDS[kind].title[1:] if kind in KINDS else kind


def limits(certificates: Certificates, results: Results) -> Section:
    certified = [feed for feed, own in certificates.feeds.items() if any(found.certified for found in own.values())]
    points = [
        f"The certificates hold for {', '.join(certified)} only, for listings like those that were labelled. Tags of "
        "another feed, or of a season unlike any before, are not covered until labels of their own are certified."
        if certified
        else "Nothing is certified: every tag abstains.",
        "Merchants' labels are taken as the truth: a right tag against a wrong label counts as an error, and a mistake "
        "that merchants make consistently is learned.",
        "It knows only the values of its taxonomy. A listing that has none of them should abstain, as far as labels "
        "outside the taxonomy have taught it; the promise is of all listings together, not of these by themselves.",
    ]
    if certificates.promise.by == "attribute":
        points.append(
            "An attribute is certified as a whole: single values may be below the target, as the tables show."
        )
    rare = [
        f"{name} {row.value} ({row.labelled})"
        for name, found in results.attributes.items()
        for row in found.values
        if row.labelled < _FEW
    ]
    if rare:
        points.append(
            f"Values with fewer than {_FEW} labelled test listings, whose metrics are unreliable: {', '.join(rare)}."
        )
    return Section("What it cannot do", points=points)
