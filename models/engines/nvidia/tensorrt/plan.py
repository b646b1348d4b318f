"""TensorRT plans on disk, each with a JSON card that describes it: one for each engine identity and weights."""

import json
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from models.engines.interface import EngineIdentity
from models.engines.nvidia.shapes import Shapes
from schemas.errors import UserError
from schemas.files import write_whole

OR_LATER = "+"  # after a version: the plan also runs under later versions and the lean runtime


@dataclass(frozen=True)
class Plan:
    """A plan file. Its name is a hash of all that the plan depends on, so a folder can hold those of several cards."""

    folder: Path
    identity: EngineIdentity
    weights: str

    @property
    def path(self) -> Path:
        key = sha256(json.dumps([asdict(self.identity), self.weights]).encode()).hexdigest()[:16]
        return self.folder / f"{key}.plan"

    @property
    def holds_host_code(self) -> bool:
        """Whether the plan contains the lean runtime, as machine code that its reader must allow."""
        return self.identity.version.endswith(OR_LATER)

    def write(self, content: bytes, shapes: Shapes) -> None:
        """Writes the plan, then its card: a plan without a card is unfinished."""
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
        """The plan and its shapes. UserError where it is missing, or differs from what was built."""
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
        """Deletes the card, so that the plan is built again."""
        self.path.with_suffix(".json").unlink(missing_ok=True)


def here(built: EngineIdentity, *, version: str, device: str) -> EngineIdentity:
    """The identity of an engine, built as `built`, on this machine; it equals `built` where the plan may be run. A
    version-compatible plan contains its runtime, so it keeps its version under a later TensorRT."""
    compatible = built.version.endswith(OR_LATER) and _parts(version) >= _parts(built.version.removesuffix(OR_LATER))
    return replace(built, version=built.version if compatible else version, device=device)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
