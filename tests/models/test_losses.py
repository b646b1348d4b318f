from math import log

import pytest
import torch

from models.losses import classification_loss, contrastive_loss


def test_each_task_averages_over_its_own_labelled_listings() -> None:
    certain = torch.tensor([[log(3.0), 0.0], [0.0, 0.0], [9.0, -9.0]], requires_grad=True)  # first row: ¾ and ¼
    even = torch.zeros(3, 4)
    labels = torch.tensor([[0, 2], [1, -1], [-1, -1]])
    loss = classification_loss([certain, even], labels)
    assert loss.item() == pytest.approx((-log(0.75) + log(2)) / 2 + log(4))
    loss.backward()
    assert certain.grad is not None
    assert certain.grad[2].tolist() == [0.0, 0.0]
    torch.testing.assert_close(certain.grad[0], torch.tensor([-0.125, 0.125]))


def test_no_label_at_all_costs_nothing() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = classification_loss([logits], torch.full((2, 1), -1), smoothing=0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()


def test_smoothing() -> None:
    # 0.8 on the label and 0.1 on each of both classes: 0.9 · −ln ¾ + 0.1 · −ln ¼
    loss = classification_loss([torch.tensor([[log(3.0), 0.0]])], torch.tensor([[0]]), smoothing=0.2)
    assert loss.item() == pytest.approx(-0.9 * log(0.75) - 0.1 * log(0.25))


def test_contrastive_loss_by_hand() -> None:
    both = torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    assert contrastive_loss(both, both, torch.tensor(0.0)).item() == pytest.approx(log(2))
    # at scale ln 3 the own title is three times as likely as the other one
    assert contrastive_loss(both, both, torch.tensor(log(3.0))).item() == pytest.approx(-log(0.75))


def test_a_batch_without_a_whole_listing_has_nothing_to_contrast() -> None:
    none = torch.zeros(0, 4, requires_grad=True)
    loss = contrastive_loss(none, none, torch.tensor(10.0))
    assert loss.item() == 0.0
    loss.backward()
