from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from models.inputs.listings import Listings
from models.inputs.preprocessing import Processor
from models.lifecycle.card import read_card
from models.lifecycle.fit import fit
from models.lifecycle.weights import load_network
from models.network.architecture import PictureTowerShape, WeightsOrigin
from models.rules.certificates import Promise
from models.rules.noise.kinds import KINDS
from schemas.errors import ConfigurationError, UserError
from schemas.files import sha256_of
from tests.models.tiny import TAXONOMY, clip_folder_with_weights, jpeg, tiny_preset

COLORS = ((220, 20, 20), (20, 220, 20), (20, 20, 220))
SPLITS = ("train",) * 60 + ("validation",) * 50 + ("calibration",) * 50 + ("test",) * 50


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return clip_folder_with_weights(tmp_path_factory.mktemp("pretrained"))


def listings(count: int = len(SPLITS), splits: tuple[str, ...] = SPLITS) -> Listings:
    """Titles and pictures that tell colour and pattern plainly; every tenth listing lacks one of the two."""
    random = np.random.default_rng(0)
    labels = np.stack([random.integers(0, 3, count), random.integers(0, 2, count)], axis=1)
    colors, patterns = TAXONOMY["color"].value_names, TAXONOMY["pattern"].value_names
    names = [f"{colors[color]} {patterns[pattern]}" for color, pattern in labels]
    return Listings(
        titles=["" if row % 20 == 3 else name for row, name in enumerate(names)],
        pictures=[None if row % 20 == 13 else jpeg(COLORS[color]) for row, (color, _) in enumerate(labels)],
        labels=labels,
        splits=np.array(splits[:count]),
        feeds=np.array(["shop"] * count),
        products=np.arange(count).astype(str),
    )


def run(given: Listings, backbone: str, folder: Path, *, stored: int = 64, seed: int = 0) -> None:
    preset = tiny_preset(backbone, "small", seed=seed)
    longer = tuple(
        replace(
            stage,
            epochs=12 if stage.name in ("titles", "pictures") else 3,
            learning_rate=0.01,
            title_dropout=0.0,
        )
        for stage in preset.stages
    )
    fit(
        given,
        preset=replace(
            preset,
            stages=longer,
            label_smoothing=0.0,
            modality_dropout=0.1,
            swapped=0.0,
            mixup=0.0,
            ema=0.9,
        ),
        taxonomy=TAXONOMY,
        folder=folder,
        promise=Promise(0.9, 0.95),
        stored_picture_size=stored,
        threads=1,
    )


def test_a_model_is_fitted_whole(backbone: str, tmp_path: Path) -> None:
    run(listings(), backbone, tmp_path)
    card = read_card(tmp_path)
    load_network(tmp_path, card)
    assert card.listings == {"train": 60, "validation": 50, "calibration": 50, "test": 50}
    assert list(card.history) == ["titles", "pictures", "warm-up", "end-to-end", "tuning"]
    assert set(card.metrics) == set(card.certificates.pooled) == {"color", "pattern"}
    assert card.feeds == list(card.certificates.feeds) == ["shop"]
    assert card.metrics["color"]["accuracy"] > 0.9 and card.metrics["pattern"]["accuracy"] > 0.8
    own = card.certificates.feeds["shop"]["color"]
    assert own.certified and own.certificate.listings == 50 and len(own.confidences) == 50
    assert own == card.certificates.pooled["color"]
    assert card.metrics["color"]["coverage"] > 0.5 and card.metrics["color"]["ece"] < 0.2
    assert set(card.noise.thresholds) == set(KINDS)
    assert card.version.endswith(card.weights[:8])
    assert card.metrics["color"]["outside"] == 0


def test_listings_outside_the_taxonomy_abstain(backbone: str, tmp_path: Path) -> None:
    """Every fourth listing has a yellow picture and title, and none of the taxonomy's colours."""
    given = listings(280, tuple(split for split in ("train", "validation", "calibration", "test") for _ in range(70)))
    yellow = np.arange(280) % 4 == 0
    given.labels[yellow, 0] = TAXONOMY["color"].none_code
    given = replace(
        given,
        titles=["yellow" if row else own for own, row in zip(given.titles, yellow, strict=True)],
        pictures=[jpeg((240, 240, 20)) if row else own for own, row in zip(given.pictures, yellow, strict=True)],
    )
    run(given, backbone, tmp_path)
    color = read_card(tmp_path).metrics["color"]
    assert (color["labelled"], color["outside"]) == (70, 17)
    assert color["accuracy"] > 0.9 and color["recall"] > 0.5
    assert color["precision"] > 0.9 and color["outside_accepted"] < 0.2


def test_a_picture_towers_weights_are_named_in_the_card_and_then_no_longer_needed(
    backbone: str, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    weights = timm.create_model("test_efficientnet").state_dict()
    save_file(weights, tmp_path / "trunk.safetensors")
    base = tiny_preset(backbone)
    tower = PictureTowerShape(trunk="test_efficientnet", image_size=(48, 32))
    preset = replace(
        base,
        architecture=replace(base.architecture, picture_tower=tower),
        picture_weights=str(tmp_path / "trunk.safetensors"),
        stages=(replace(base.stages[0], parts=("image_tower", *base.stages[0].parts)),),
    )
    promise, folder = Promise(0.9, 0.95), tmp_path / "model"
    fit(
        listings(),
        preset=preset,
        taxonomy=TAXONOMY,
        folder=folder,
        promise=promise,
        stored_picture_size=64,
        threads=1,
    )
    card = read_card(folder)
    assert card.picture_weights == WeightsOrigin(
        "test_efficientnet", "trunk.safetensors", None, sha256_of(tmp_path / "trunk.safetensors")
    )
    assert card.image_size == (48, 32)
    (tmp_path / "trunk.safetensors").unlink()
    tower = load_network(folder, card).backbone.visual
    assert tower.fitted
    assert torch.equal(tower.trunk.conv_stem.weight, weights["conv_stem.weight"])


def test_listings_without_label_picture_and_title_teach_nothing(backbone: str, tmp_path: Path) -> None:
    given = listings(4)
    given = replace(given, titles=["", "red", "", "red"], pictures=[None, None, jpeg(), jpeg()])
    given.labels[3] = -1
    processor = Processor(backbone=backbone, image_size=(32, 32), context_length=16, trims_titles=True)
    chosen = given.examples(processor, "train", threads=1)
    assert chosen.present.tolist() == [[False, True], [True, False]]
    assert chosen.labels.tolist() == given.labels[[1, 2]].tolist()
    assert len(given.examples(processor, "test", threads=1)) == 0


def test_too_few_labels_are_counted_and_named(backbone: str, tmp_path: Path) -> None:
    given = listings()
    given.labels[115:120, 1] = -1  # of the calibration split
    given.labels[120:125, 1] = TAXONOMY["pattern"].none_code
    with pytest.raises(UserError, match=r"40 listings of the calibration split .* a value of 'pattern', 50 are"):
        run(given, backbone, tmp_path)
    assert not list(tmp_path.iterdir())


def test_pictures_stored_too_small_are_refused(backbone: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ingest\.picture_size"):
        run(listings(), backbone, tmp_path, stored=16)
