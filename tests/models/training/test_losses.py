from math import log

import pytest
import torch
from torch import Tensor

from models.training.objective.losses import classification_loss, contrastive_loss, matching_loss


def counts(*numbers: int) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float32)


def test_each_task_averages_over_its_own_labelled_listings() -> None:
    certain = torch.tensor([[log(3.0), 0.0], [0.0, 0.0], [9.0, -9.0]], requires_grad=True)  # first row: ¾ and ¼
    even = torch.zeros(3, 4)
    labels = torch.tensor([[0, 2], [1, -1], [-1, -1]])
    loss = classification_loss([certain, even], labels, counts(2, 1))
    assert loss.item() == pytest.approx((-log(0.75) + log(2)) / 2 + log(4))
    loss.backward()
    assert certain.grad is not None
    assert certain.grad[2].tolist() == [0.0, 0.0]
    torch.testing.assert_close(certain.grad[0], torch.tensor([-0.125, 0.125]))


def test_micro_batches_add_up_to_the_batch_however_labels_are_spread() -> None:
    torch.manual_seed(0)
    logits, labels = [torch.randn(6, 3), torch.randn(6, 2)], torch.tensor([[0, -1]] * 4 + [[-1, 1], [2, 0]])
    whole = classification_loss(logits, labels, counts(5, 2))
    parts = [
        classification_loss([task[rows] for task in logits], labels[rows], counts(5, 2))
        for rows in (slice(0, 4), slice(4, 6))
    ]
    torch.testing.assert_close(whole, torch.stack(parts).sum())


def test_no_label_at_all_costs_nothing() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    loss = classification_loss([logits], torch.full((2, 1), -1), counts(0), smoothing=0.1)
    loss.backward()
    assert loss.item() == 0.0
    assert logits.grad is not None and not logits.grad.any()


def test_label_smoothing_by_hand() -> None:
    # 0.8 on the label and 0.1 on each of both classes: 0.9 · −ln ¾ + 0.1 · −ln ¼
    logits = [torch.tensor([[log(3.0), 0.0]])]
    loss = classification_loss(logits, torch.tensor([[0]]), counts(1), smoothing=0.2)
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


def test_matching_loss_by_hand() -> None:
    """By I′ and T′: an own pair at ¾ and ½, a swapped pair at ½ and ¾; the third shows one modality only and does not
    count."""
    match, own = torch.tensor([[log(3.0), 0.0], [0.0, log(3.0)], [50.0, 0.0]]), torch.tensor([True, False, False])
    loss = matching_loss(match, own, torch.tensor([True, True, False]))
    assert loss.item() == pytest.approx((-log(0.75) + log(2) + log(2) - log(0.25)) / 4)
    assert matching_loss(match, own, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_soft_targets_share_the_loss_of_labelled_listings() -> None:
    logits = [torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])]
    labels, counts = torch.tensor([[0], [1], [-1]]), torch.tensor([2.0])
    soft = [torch.tensor([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]])]
    log = [row.log_softmax(0) for row in logits[0]]
    by_label = -(log[0][0] + log[1][1]) / 2
    by_teacher = -(0.5 * log[0].sum() + 0.25 * log[1][0] + 0.75 * log[1][1]) / 2
    found = classification_loss(logits, labels, counts, soft_targets=soft, distillation=0.9)
    assert found == pytest.approx(float(0.1 * by_label + 0.9 * by_teacher))
