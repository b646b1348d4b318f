"""The nightly run: ingest, tag, publish, report."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from flows.ingestion.compact import FEWEST, compact
from flows.ingestion.ingest import FeedsFailed, FeedSummary, ingest
from flows.project.project import Project
from flows.reports.noise_report import ReportSummary, report
from flows.tagging.summary import ListingsKilled, TagSummary
from flows.tagging.tag import tag
from schemas.errors import UserError


class NightFailed(UserError):
    """Some feeds could not be ingested, or some listings not be tagged. `night` has the results of the others."""

    def __init__(self, faults: Sequence[UserError], night: "NightlySummary") -> None:
        super().__init__("\n".join(map(str, faults)))
        self.night = night


@dataclass(frozen=True)
class NightlySummary:
    feeds: list[FeedSummary]
    tags: TagSummary
    report: ReportSummary


def nightly(project: Project, *, limit: int | None = None, until: str | None = None) -> NightlySummary:
    """Ingests all feeds, tags new and changed listings, publishes the snapshot and writes the report. NightFailed at
    the end where a feed could not be ingested, or listings killed the workers that tagged them. `limit` and `until` are
    those of `tag`."""
    with project.run("nightly") as run:
        faults: list[UserError] = []
        try:
            # Published once, after tagging; before the first model, tagging fails and this is all there is to see.
            feeds = ingest(project, publish=project.catalog.champion() is None)
        except FeedsFailed as fault:  # one merchant's broken export must not stop the others
            faults.append(fault)
            feeds = fault.summaries
        compact(project, fewest=FEWEST)
        try:
            tags = tag(project, limit=limit, until=until)
        except ListingsKilled as fault:
            faults.append(fault)
            tags = fault.summary
        summary = NightlySummary(feeds, tags, report(project))
        run.summary.update(feeds=[asdict(feed) for feed in feeds], selected=tags.selected, tagged=tags.tagged)
        if faults:
            raise NightFailed(faults, summary)
    return summary
