"""The nightly run: ingest → tag → publish → report, over plain functions."""

from dataclasses import asdict, dataclass

from flows.compact import FEWEST, compact
from flows.ingest import FeedSummary, ingest
from flows.project import Project
from flows.report import ReportSummary, report
from flows.tag import TagSummary, tag


@dataclass(frozen=True)
class NightlySummary:
    feeds: list[FeedSummary]
    tags: TagSummary
    report: ReportSummary


def nightly(project: Project) -> NightlySummary:
    """Costs what changed since the last one; `tag` publishes the snapshot that the report is made from."""
    with project.run("nightly") as run:
        feeds = ingest(project)
        compact(project, fewest=FEWEST)
        summary = NightlySummary(feeds, tag(project), report(project))
        run.summary.update(
            feeds=[asdict(feed) for feed in summary.feeds],
            selected=summary.tags.selected,
            tagged=summary.tags.tagged,
        )
    return summary
