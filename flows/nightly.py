"""The nightly run: ingest → tag → publish → report, over plain functions."""

from dataclasses import asdict, dataclass

from flows.ingestion.compact import FEWEST, compact
from flows.ingestion.ingest import FeedsFailed, FeedSummary, ingest
from flows.project.project import Project
from flows.reports.noise_report import ReportSummary, report
from flows.tagging.tag import TagSummary, tag
from schemas.errors import UserError


class NightFailed(UserError):
    """Some feeds could not be ingested; `night` is what was done with the rest of the catalogue."""

    def __init__(self, fault: FeedsFailed, night: "NightlySummary") -> None:
        super().__init__(str(fault))
        self.night = night


@dataclass(frozen=True)
class NightlySummary:
    feeds: list[FeedSummary]
    tags: TagSummary
    report: ReportSummary


def nightly(project: Project) -> NightlySummary:
    """Costs what changed since the last one; `tag` publishes the snapshot that the report is made from."""
    with project.run("nightly") as run:
        failed = None
        try:
            feeds = ingest(project)
        except FeedsFailed as fault:  # one merchant's broken export is no reason to leave the others untagged
            failed, feeds = fault, fault.summaries
        compact(project, fewest=FEWEST)
        summary = NightlySummary(feeds, tag(project), report(project))
        run.summary.update(
            feeds=[asdict(feed) for feed in summary.feeds],
            selected=summary.tags.selected,
            tagged=summary.tags.tagged,
        )
        if failed:
            raise NightFailed(failed, summary)
    return summary
