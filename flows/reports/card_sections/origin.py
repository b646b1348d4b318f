"""Sections on what a model is, its data, and its training."""

from catalog_io.catalog.model_records import ModelRow
from flows.reports import plots
from flows.reports.card_sections.parts import Plot, Section, Table
from models.lifecycle.card import ModelCard

_SPLITS = ("train", "validation", "calibration", "test")


def identity(card: ModelCard, row: ModelRow) -> Section:
    shape = card.preset.architecture
    height, width = card.image_size
    rows = [
        ("method", "CMA-CLIP (Liu et al. 2021)"),
        ("attributes", ", ".join(f"{a.name} ({len(a.value_names)} values)" for a in card.taxonomy.attributes)),
        ("preset", card.preset.name),
        ("backbone", shape.backbone),
        *_picture_tower(card),
        ("started from", row.pretrained or "random weights"),
        ("attention", f"{shape.attention_layers} layers of {shape.attention_heads} heads"),
        ("reads", f"pictures of {width} × {height} pixels, titles of up to {card.context_length} tokens"),
        ("weights, SHA-256", card.weights),
        ("made", f"{row.created_at:%Y-%m-%d %H:%M} UTC by cma-tagger {row.code_version}"),
        ("commit", row.git_commit or "not run from a checkout"),
        ("encoder of", row.parent or "") if "encoder_of" in row.config else _champion_then(row),
    ]
    return Section("What it is", tables=[Table(("", ""), rows)])


def _picture_tower(card: ModelCard) -> list[tuple[str, str]]:
    tower, weights = card.preset.architecture.picture_tower, card.picture_weights
    if tower is None:
        return []
    rows = [("picture tower", f"{tower.trunk}, in place of the backbone's image tower")]
    if weights:
        licence = weights.licence or "not stated by their source"
        rows.append(("weights of the picture tower", f"{weights.source}; SHA-256 {weights.sha256}"))
        rows.append(("licence of these weights", licence))
    return rows


def _champion_then(row: ModelRow) -> tuple[str, str]:
    return "champion then", row.parent or "none: the first model of its catalogue"


def data(row: ModelRow) -> Section:
    rows = [(feed, *(str(counts.get(split, 0)) for split in _SPLITS)) for feed, counts in row.data.items()]
    if len(rows) > 1:
        totals = (sum(counts.get(split, 0) for counts in row.data.values()) for split in _SPLITS)
        rows.append(("all feeds", *map(str, totals)))
    return Section(
        "What it learned from",
        text=[
            "Labelled listings of the catalogue. All listings of a product stay in one split. Weights were learned on "
            "train, the best epochs and the temperatures chosen on validation, thresholds certified on calibration; "
            "nothing was learned on test.",
            f"SHA-256 of these listings and their labels: {row.data_hash}.",
        ],
        tables=[Table(("feed", *_SPLITS), rows)],
    )


def training(card: ModelCard, row: ModelRow) -> Section:
    preset = card.preset
    stages = [
        (stage.name, ", ".join(stage.parts).replace("_", " "), str(stage.epochs), f"{stage.learning_rate:g}")
        for stage in preset.stages
        if stage.epochs
    ]
    caption = "Validation accuracy, a mean over attributes, before each stage and after each of its epochs."
    return Section(
        "How it was trained",
        text=[
            f"{preset.optimizer} with weight decay {preset.weight_decay:g}, batches of {preset.batch} listings, "
            f"seed {preset.seed}; {row.seconds:.0f} s on {row.device}. Each stage starts from the best epoch of the "
            "one before. A stage that does not train the heads is measured by the probes of picture and title alone, "
            "so its accuracy does not compare with that of later stages.",
        ],
        tables=[Table(("stage", "parts trained", "epochs", "learning rate"), stages)],
        plots=[Plot("learning-curve", plots.learning_curve(card.history), caption)] if card.history else [],
    )
