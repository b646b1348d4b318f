"""The nightly run: ingest, tag, publish, report."""

from dataclasses import asdict, dataclass

from flows.ingestion.compact import FEWEST, compact
from flows.ingestion.ingest import FeedsFailed, FeedSummary, ingest
from flows.project.project import Project
from flows.reports.noise_report import ReportSummary, report
from flows.tagging.tag import TagSummary, tag
from schemas.errors import UserError


class NightFailed(UserError):
    """Some feeds could not be ingested. `night` has the results of the others."""

    def __init__(self, fault: FeedsFailed, night: "NightlySummary") -> None:
        super().__init__(str(fault))
        self.night = night


@dataclass(frozen=True)
class NightlySummary:
    feeds: list[FeedSummary]
    tags: TagSummary
    report: ReportSummary


def nightly(project: Project) -> NightlySummary:
    """Ingests all feeds, tags new and changed listings, publishes the snapshot and writes the report. NightFailed at
    the end where a feed could not be ingested."""
    with project.run("nightly") as run:
        failed = None
        try:
            # Published once, after tagging; before the first model, tagging fails and this is all there is to see.
            feeds = ingest(project, publish=project.catalog.champion() is None)
        except FeedsFailed as fault:  # one merchant's broken export must not stop the others
            failed, feeds = fault, fault.summaries
        compact(project, fewest=FEWEST)
        summary = NightlySummary(feeds, tag(project), report(project))
        tags = summary.tags
        run.summary.update(feeds=[asdict(feed) for feed in feeds], selected=tags.selected, tagged=tags.tagged)
        if failed:
            raise NightFailed(failed, summary)
    return summary
