"""The section on the certificates of each feed, and on what is not certified."""

from flows.reports.card_sections.parts import Section, Table
from flows.reports.metric_texts import number_text
from models.rules.certificates import Certificate, Certificates, Promise

_COLUMNS = ("labelled", "worth", "threshold", "accepted", "right", "precision at least", "labels needed")


def promises(certificates: Certificates) -> Section:
    rows, values = [], []
    for feed, attributes in certificates.feeds.items():
        for name, calibration in attributes.items():
            errors = (number_text(error) for error in (calibration.ece_before, calibration.ece_after))
            rows.append((feed, name, *_cells(calibration.certificate), *errors))
            values += [(feed, name, value, *_cells(own)) for value, own in calibration.values.items()]
    text = [_promise(certificates.promise)]
    if rows:
        tables = [Table(("feed", "attribute", *_COLUMNS, "ECE raw", "ECE calibrated"), rows, "By attribute")]
    else:
        text.append("No feed has certificates: every tag abstains.")
        tables = []
    if values:
        caption = (
            "By predicted value, where there are enough predictions; each certificate holds by itself, not all at once"
        )
        tables.append(Table(("feed", "attribute", "value", *_COLUMNS), values, caption))
    missing = [
        f"{name} of {feed} ({_needed(calibration.certificate)})"
        for feed, attributes in certificates.feeds.items()
        for name, calibration in attributes.items()
        if not calibration.certified
    ]
    if missing:
        text.append(f"Not certified, so that every such tag abstains: {', '.join(missing)}.")
    return Section("What it promises", text=text, tables=tables)


def _promise(promise: Promise) -> str:
    kept = (
        "Each predicted value has a threshold of its own, and all hold at once; they are stricter than those below."
        if promise.by == "value"
        else "Each attribute has one threshold."
    )
    return (
        "On the feeds below, accepted tags of the attribute are right at least "
        f"{promise.target_precision:.0%} of the time, at {promise.confidence:.0%} confidence, by a binomial test "
        "on calibration listings that training has not seen; on a listing with none of the values, every tag is wrong. "
        f"{kept} Listings of one product tend to be right or wrong "
        "together, so they count as fewer independent ones (worth). On any other feed no tag is accepted, whatever its "
        "confidence."
    )


def _needed(certificate: Certificate) -> str:
    if certificate.labels_needed is None:
        return "no number of labels is enough; the model must become better"
    return f"about {certificate.labels_needed} more labels would give it an even chance"


def _cells(certificate: Certificate) -> tuple[str, ...]:
    listings = str(certificate.listings), str(certificate.worth)
    if certificate.threshold is None:
        needed = "no number is enough" if certificate.labels_needed is None else f"about {certificate.labels_needed}"
        return *listings, "not certified", "–", "–", "–", needed
    counts = (str(certificate.accepted), str(certificate.right))
    return *listings, f"{certificate.threshold:.3f}", *counts, number_text(certificate.precision_bound), "–"
