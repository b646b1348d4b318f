"""The loss of a micro-batch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.training.objective import objective
from models.training.objective.objective import BOTH, PICTURE, TITLE, Objective
from tests.models.tiny import clip_folder, examples, tiny_network, tiny_preset

COUNT = 24


def test_soft_targets_follow_the_modalities_that_are_a_listings_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each soft target holds the modality that it was made from. Half of the listings are swapped, some lack one."""
    preset = tiny_preset(
        clip_folder(tmp_path), distillation=0.5, swapped=0.5, modality_dropout=0.3, matching_weight=1.0
    )
    network = tiny_network(preset)
    targets = np.broadcast_to(np.array([PICTURE, TITLE, BOTH], np.float32)[:, None], (COUNT, 3, 7))
    listings = replace(examples(COUNT), soft_targets=targets)
    soft: list[torch.Tensor] = []
    shown: dict[str, Any] = {}
    attend, loss, matching = network.attend, objective.classification_loss, objective.matching_loss

    def seen(image: Any, title: Any, present: torch.Tensor) -> Any:
        shown.update(image=image.sequence, title=title.sequence, present=present)
        return attend(image, title, present)

    def loss_seen(*arguments: Any, **options: Any) -> torch.Tensor:
        soft.append(options["soft_targets"][0][:, 0])
        return loss(*arguments, **options)

    def matched(match: torch.Tensor, own: torch.Tensor, both: torch.Tensor) -> torch.Tensor:
        shown.update(own=own)
        return matching(match, own, both)

    monkeypatch.setattr(objective, "has_bf16", lambda device: False)
    monkeypatch.setattr(network, "attend", seen)
    monkeypatch.setattr(objective, "classification_loss", loss_seen)
    monkeypatch.setattr(objective, "matching_loss", matched)
    rows, device = np.arange(COUNT), torch.device("cpu")
    stage = replace(preset.stages[0], parts=("heads",))
    loss_of = Objective(network=network, preset=preset, stage=stage, examples=listings, device=device, frozen=None)
    torch.manual_seed(0)
    loss_of(rows, loss_of.counts(rows, 1))
    image = network.backbone.images(torch.from_numpy(listings.pictures)).sequence
    title = network.backbone.titles(torch.from_numpy(listings.tokens)).sequence
    own_picture = (shown["image"].float() - image).abs().amax(dim=(1, 2)) < 1e-4
    own_title = (shown["title"].float() - title[:, : shown["title"].shape[1]]).abs().amax(dim=(1, 2)) < 1e-4
    own = torch.stack([own_picture, own_title], dim=1) & shown["present"]
    expected = [{(True, True): BOTH, (True, False): PICTURE, (False, True): TITLE}[tuple(row)] for row in own.tolist()]
    assert {BOTH, PICTURE, TITLE} == set(expected)
    assert soft[0].tolist() == expected
    both = shown["present"].all(dim=1)
    assert 4 < int((both & ~shown["own"]).sum()) < 16
    assert torch.equal(shown["own"][both], own.all(dim=1)[both])
