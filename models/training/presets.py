"""Presets: named architectures with their training. `vit-b-32` is the paper's, `small` trains on a CPU."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from models.network.architecture import Architecture, PictureTowerShape, TitleTowerShape
from models.training.parts import TOWERS, Part, Stage
from models.training.preset import Preset
from schemas.errors import ConfigurationError

__all__ = ["PRESETS", "Preset", "preset"]

_WARM_UP: tuple[Part, ...] = ("probes", "sequence_attention", "modality_attention", "heads")
_END_TO_END: tuple[Part, ...] = (*TOWERS, *_WARM_UP)
_TUNING: tuple[Part, ...] = ("modality_attention", "heads")

_fusion = partial(Stage, schedule="one-cycle", title_dropout=0.3)

PRESETS = {
    "vit-b-32": Preset(
        name="vit-b-32",
        architecture=Architecture(backbone="ViT-B-32-quickgelu", attention_layers=12, attention_heads=8, hidden=512),
        pretrained="openai",
        stages=(
            Stage(name="warm-up", parts=_WARM_UP, epochs=20, learning_rate=1e-5),
            Stage(name="end-to-end", parts=_END_TO_END, epochs=20, learning_rate=1e-5),
            Stage(name="tuning", parts=_TUNING, epochs=20, learning_rate=1e-5),
        ),
    ),
    "small": Preset(
        name="small",
        architecture=Architecture(backbone="cma-small", attention_layers=2, attention_heads=4, hidden=128, dropout=0.1),
        pretrained=None,
        # There is no CLIP of this size to start from. Two stages before Algorithm 1 train the towers, one at a time,
        # since titles are memorised in a tenth of the epochs that pictures need.
        stages=(
            Stage(
                name="titles",
                parts=("title_tower", "probes"),
                epochs=24,
                learning_rate=3e-3,
                schedule="one-cycle",
                title_dropout=0.7,
            ),
            Stage(
                name="pictures",
                parts=("image_tower", "probes"),
                epochs=30,
                learning_rate=4e-3,
                schedule="one-cycle",
            ),
            _fusion(name="warm-up", parts=_WARM_UP, epochs=5, learning_rate=1e-3),
            _fusion(name="end-to-end", parts=_END_TO_END, epochs=2, learning_rate=5e-4),
            _fusion(name="tuning", parts=_TUNING, epochs=2, learning_rate=5e-4),
        ),
        batch=32,
        micro_batch=32,
        optimizer="adamw",
        weight_decay=0.05,
        augment=True,
        modality_dropout=0.1,
        swapped=0.2,
        mixup=0.5,
        label_smoothing=0.05,
        distillation=0.5,
        contrastive_weight=0.02,
        matching_weight=0.5,
        ema=0.998,
        text_rate=0.3,
        probes_train_towers=True,
        pools_probes=True,
    ),
}

PRESETS["lite"] = Preset(
    name="lite",
    architecture=Architecture(
        backbone="cma-small",  # for its tokenizer: both towers are others
        attention_layers=1,  # two did no better in 1.6 times the time (decision 16)
        attention_heads=4,
        hidden=256,
        dropout=0.2,
        attention_dropout=0.2,
        reads_agreement=True,
        picture_tower=PictureTowerShape(
            trunk="tf_efficientnet_lite2.in1k", image_size=(288, 192), hidden=512, dropout=0.5
        ),
        title_tower=TitleTowerShape(components=64),
    ),
    pretrained=None,
    picture_weights="imagenet",
    stages=(
        # All but the trunk. 500 listings are 4 steps an epoch, which are too few (docs/results/learning-curves.md).
        _fusion(name="warm-up", parts=_END_TO_END, epochs=12, fewest_steps=600, learning_rate=1e-3),
        _fusion(name="tuning", parts=_TUNING, epochs=2, fewest_steps=100, learning_rate=3e-4),
    ),
    batch=128,
    micro_batch=128,
    optimizer="adamw",
    weight_decay=0.1,
    modality_dropout=0.5,
    swapped=0.4,
    of_titles=0.65,
    label_smoothing=0.05,
    contrastive_weight=0.2,
    matching_weight=0.5,
    ema=0.995,
    probes_train_towers=True,
    pools_probes=True,
)

# The paper's public data sets have one task each, so their training ends with the end-to-end stage (4.2.3).
_PUBLIC_STAGES = tuple(
    replace(stage, epochs=epochs) for stage, epochs in zip(PRESETS["vit-b-32"].stages, (100, 300), strict=False)
)
PRESETS |= {
    name: replace(PRESETS["vit-b-32"], name=name, stages=_PUBLIC_STAGES) for name in ("food-101", "fashion-gen")
}


def preset(
    name: str,
    *,
    backbone: str | None = None,
    pretrained: str | None = None,
    picture_tower: str | None = None,
    picture_weights: str | None = None,
    image_size: tuple[int, int] | None = None,
    epochs: Mapping[str, int] | None = None,
) -> Preset:
    """A preset by name. `backbone`, `pretrained`, the picture tower's trunk, weights and image size, and `epochs` (by
    stage, and exactly as many) replace its own.

    ConfigurationError where there is no such preset or stage, or no picture tower that weights or a size are given for.
    """
    if name not in PRESETS:
        raise ConfigurationError(f"model.preset: there is no preset {name!r}; there are {', '.join(PRESETS)}")
    chosen = PRESETS[name]
    if backbone:
        chosen = replace(chosen, architecture=replace(chosen.architecture, backbone=backbone))
    if pretrained:
        chosen = replace(chosen, pretrained=pretrained)
    chosen = _with_picture_tower(chosen, picture_tower, picture_weights, image_size)
    names = [stage.name for stage in chosen.stages]
    given = epochs or {}
    for stage in given:
        if stage not in names:
            raise ConfigurationError(f"model.epochs: there is no stage {stage!r}; there are {', '.join(names)}")
    stages = tuple(
        replace(stage, epochs=given[stage.name], fewest_steps=0) if stage.name in given else stage
        for stage in chosen.stages
    )
    return replace(chosen, stages=stages)


def _with_picture_tower(
    chosen: Preset, trunk: str | None, weights: str | None, image_size: tuple[int, int] | None
) -> Preset:
    """The preset with another trunk, or with one in place of the backbone's image tower. A trunk that is named brings
    its published weights unless others are given."""
    if not (trunk or weights or image_size):
        return chosen
    shape = chosen.architecture.picture_tower
    if shape is None and not trunk:
        raise ConfigurationError(
            f"model.picture_weights and model.image_size are for a picture tower, and preset {chosen.name!r} has none: "
            "set model.picture_tower to the name of a timm model, or take them out"
        )
    size = image_size or (shape.image_size if shape else None)
    grid = shape.grid if shape and not (trunk or image_size) else None
    shape = PictureTowerShape(trunk=trunk or (shape.trunk if shape else ""), image_size=size, grid=grid)
    chosen = replace(chosen, architecture=replace(chosen.architecture, picture_tower=shape))
    return replace(chosen, picture_weights=weights or chosen.picture_weights or "imagenet")
