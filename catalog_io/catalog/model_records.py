"""What the catalogue records of a model and of a change of champion. The columns of their tables are these fields."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

State = Literal["candidate", "champion", "retired", "refused"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A trained model and its origin. Mappings are stored as JSON."""

    model_version: str
    preset: str
    path: str  # its folder below the home
    pretrained: str | None  # the weights that it started from: a tag, or a file's SHA-256; None: random ones
    data_hash: str  # of the labelled listings that it learned from
    data: Mapping[str, Mapping[str, int]]  # the number of these listings by feed and split
    config: Mapping[str, Any]
    code_version: str
    git_commit: str | None  # None: not run from a checkout
    seconds: float  # of training
    device: str
    metrics: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelRow(Registration):
    """A registered model."""

    created_at: datetime
    parent: str | None  # the model whose weights it started from, else the champion of then; None: none
    comparison: Mapping[str, Any] | None  # with the champion of then; None: none was made
    refused: str | None  # why it was not promoted by itself; None: it was not refused
    state: State  # retired: it was the champion once. Not stored: promotions and `refused` decide it

    @property
    def champion(self) -> bool:
        """Whether it is the one that tags."""
        return self.state == "champion"


class Promotion(NamedTuple):
    """One change of the champion."""

    place: int  # from 1, in the order that they were made
    model_version: str
    replaced: str | None  # the champion until then; None: none
    reason: str
    promoted_at: datetime
    withdrawn_at: datetime | None  # by a rollback; None: it stands
