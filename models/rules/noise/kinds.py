"""The table of noise kinds. A new kind is a file with its class, and a line here."""

from models.rules.noise.kind import NoiseKind
from models.rules.noise.label_conflict import LabelConflict
from models.rules.noise.mismatch import Mismatch
from models.rules.noise.modality_conflict import ModalityConflict

_ALL: tuple[NoiseKind, ...] = (
    Mismatch(),
    ModalityConflict(),
    LabelConflict(),
)
KINDS = {kind.name: kind for kind in _ALL}
