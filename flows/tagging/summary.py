"""What a tagging run did, and the error that says that some listings killed their workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from catalog_io.catalog.tag_tables import RETRY_KILLER
from flows.tagging.drift import FeedDrift
from models.engines.table import EngineName
from schemas.errors import UserError

_NAMED = 5  # listings in a message


@dataclass
class TagSummary:
    """Counts of one run: listings `selected` = `tagged` + `rejected`; their tags and noise flags. `left` are those that
    a limit left for the next run."""

    model_version: str
    engine: EngineName
    selected: int = 0
    tagged: int = 0
    rejected: int = 0
    left: int = 0
    from_features: int = 0  # listings tagged from stored features, without an engine
    accepted_tags: int = 0
    provisional_tags: int = 0
    flags: int = 0
    changed_tags: int = 0  # other value or acceptance than before, of listings that changed
    changed_by_rules: int = 0  # the same, of listings that did not: another model, engine or certificate
    flags_raised: int = 0
    flags_removed: int = 0
    uncertified: dict[str, list[str]] = field(default_factory=dict)  # attributes without a certificate, by feed
    drift: list[FeedDrift] = field(default_factory=list)  # of certified feeds
    snapshot: str = ""  # path of the published database


class ListingsKilled(UserError):
    """Some listings were rejected because they killed the processes that worked on them. `summary` is of all."""

    def __init__(self, killers: Mapping[str, str], summary: TagSummary) -> None:
        named = "\n".join(f"  {listing}: {reason}" for listing, reason in list(killers.items())[:_NAMED])
        more = f"\n  and {len(killers) - _NAMED} more" if len(killers) > _NAMED else ""
        super().__init__(
            f"{len(killers)} of {summary.selected} listings killed the worker processes that tagged them. They are in "
            "the table rejections (code tag_kills_worker), and left out until they or the model change, or for "
            f"{RETRY_KILLER.days} days; all others are tagged and published\n{named}{more}"
        )
        self.summary = summary
