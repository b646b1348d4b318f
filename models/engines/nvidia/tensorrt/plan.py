"""A plan on disk: what TensorRT built, beside a card of what it is. One for each identity and checkpoint."""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.engines.interface import EngineIdentity
from models.engines.nvidia.shapes import Shapes
from schemas.errors import UserError
from schemas.files import write_whole

OR_LATER = "+"  # ends the version of a plan that later TensorRTs and the lean runtime can run, too


@dataclass(frozen=True)
class Plan:
    """`path` is derived from all that the plan depends on, so that plans of several cards lie side by side."""

    folder: Path
    identity: EngineIdentity
    weights: str

    @property
    def path(self) -> Path:
        key = sha256(json.dumps([asdict(self.identity), self.weights]).encode()).hexdigest()[:16]
        return self.folder / f"{key}.plan"

    @property
    def holds_host_code(self) -> bool:
        """A version-compatible plan brings the lean runtime along, as machine code that the reader must allow."""
        return self.identity.version.endswith(OR_LATER)

    def write(self, content: bytes, shapes: Shapes) -> None:
        """The card last: a plan without one was not finished."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, content)
        card = {
            "identity": asdict(self.identity),
            "weights": self.weights,
            "shapes": asdict(shapes),
            "sha256": sha256(content).hexdigest(),
        }
        write_whole(self.path.with_suffix(".json"), json.dumps(card, indent=1))

    def read(self) -> tuple[bytes, Shapes]:
        """Raises `UserError` where the plan is missing, or not byte for byte what was built."""
        try:
            card: dict[str, Any] = json.loads(self.path.with_suffix(".json").read_text(encoding="utf-8"))
            shapes = Shapes(tuple(card["shapes"]["lengths"]), card["shapes"]["batch"])
            content = self.path.read_bytes()
            intact = card["sha256"] == sha256(content).hexdigest()
        except FileNotFoundError as error:
            raise UserError(f"{error.filename} is missing: build it with `cma compile`") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{self.path.with_suffix('.json')} is damaged: build it again with `cma compile`"
            ) from error
        if not intact:
            raise UserError(f"{self.path} is not the plan that `cma compile` built: build it again with `cma compile`")
        return content, shapes

    def is_built(self) -> bool:
        try:
            self.read()
        except UserError:
            return False
        return True

    def discard(self) -> None:
        """It counts as never built."""
        self.path.with_suffix(".json").unlink(missing_ok=True)


def here(built: EngineIdentity, *, version: str, device: str) -> EngineIdentity:
    """The identity that the engine of `built` has on this machine: equal to it where its plan may be run.

    A version-compatible plan runs with the runtime that it brings, so it keeps its version under a later TensorRT.
    """
    compatible = built.version.endswith(OR_LATER) and _parts(version) >= _parts(built.version.removesuffix(OR_LATER))
    return replace(built, version=built.version if compatible else version, device=device)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
