"""The variants of an ablation: CMA-CLIP without some of its parts, trained from the same towers, and baselines."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from models.training.presets import Preset


@dataclass(frozen=True)
class Variant:
    """A variant. `looks_at` says which of picture and title it sees, in training and test; the other is masked.
    `options` replace options of the preset in the stages after the towers."""

    label: str
    kind: Literal["network", "zero-shot", "contrastive", "classical", "late fusion"] = "network"
    looks_at: tuple[bool, bool] = (True, True)
    sequence_attention: bool = True
    modality_attention: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def weighs_modalities(self) -> bool:
        return self.detects_mismatches and self.modality_attention

    @property
    def detects_mismatches(self) -> bool:
        return self.kind == "network" and all(self.looks_at)


VARIANTS = {
    "classical": Variant("colours, edges and TF-IDF (no network)", "classical"),
    "zero-shot": Variant("CLIP, zero-shot", "zero-shot"),
    "contrastive": Variant("CLIP, fine-tuned contrastively", "contrastive"),
    "title-only": Variant("title only", looks_at=(False, True)),
    "picture-only": Variant("picture only", looks_at=(True, False)),
    "late-fusion": Variant("late fusion of title only and picture only", "late fusion"),
    "without-ma-sa": Variant("without MA and SA", sequence_attention=False, modality_attention=False),
    "without-ma": Variant("without MA", modality_attention=False),
    "full": Variant("CMA-CLIP", "network"),
}
FUSED = ("title-only", "picture-only")
# Every outcome has the answers with the pool of heads and probes, and without it.
OPTIONS = tuple(o.name for o in fields(Preset) if o.type in (float, bool) and o.name != "pools_probes")


def variant_of(name: str) -> Variant:
    """A variant by name: one of `VARIANTS`, or a network with other options, such as `without-ma+ema=0`, or
    `swapped=0+ema=0` for the full one. `KeyError` for other names."""
    if name in VARIANTS:
        return VARIANTS[name]
    first, *rest = name.split("+")
    base, changes = (VARIANTS["full"], [first, *rest]) if "=" in first else (VARIANTS[first], rest)
    values = dict(change.partition("=")[::2] for change in changes)
    if base.kind != "network" or not all(
        option in OPTIONS and re.fullmatch(r"\d+(\.\d+)?", value) for option, value in values.items()
    ):
        raise KeyError(name)
    label = ", ".join([base.label, *(f"{option} {value}" for option, value in values.items())])
    return replace(base, label=label, options={option: float(value) for option, value in values.items()})


def counterpart_of(name: str) -> str:
    """The name of the full network under a variant's options: `ema=0` for `without-ma+ema=0`."""
    options = "+".join(change for change in name.split("+") if "=" in change)
    return options if options and options != name else "full"
