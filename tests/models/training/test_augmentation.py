import numpy as np
import torch

from models.training.objective.augmentation import augment, drop_modalities, drop_tokens, swap
from tests.models.tiny import END, START, titles


def test_pictures_are_mirrored_and_shifted_by_whole_pixels() -> None:
    torch.manual_seed(0)
    column = torch.arange(40, dtype=torch.uint8).expand(50, 20, 40)  # every pixel says its column, row and listing
    row = torch.arange(20, dtype=torch.uint8)[:, None].expand(50, 20, 40)
    listing = torch.arange(50, dtype=torch.uint8)[:, None, None].expand(50, 20, 40)
    moved = augment(torch.stack([column, row, listing], dim=-1))
    assert moved.shape == (50, 20, 40, 3) and moved.dtype == torch.uint8
    assert torch.equal(moved[..., 2], listing)
    right, down = moved[:, 10, 20, 0].int(), moved[:, 10, 20, 1].int() - 10
    mirrored = moved[:, 0, 30, 0] < moved[:, 0, 10, 0]
    assert 10 < mirrored.sum() < 40
    shift = torch.where(mirrored, right - 19, right - 20)
    assert shift.abs().max() == 2 and down.abs().max() == 1  # 6 % of 40 and of 20
    straight = int(np.flatnonzero(~mirrored.numpy())[0])
    expected = (torch.arange(40) + shift[straight]).clamp(0, 39)
    assert moved[straight, 0, :, 0].tolist() == expected.tolist()


def test_dropped_tokens_never_are_start_end_or_padding() -> None:
    torch.manual_seed(0)
    tokens = titles([5, 6, 7, 8], [9], [], length=8)
    assert drop_tokens(tokens, 1.0).tolist() == [
        [START, 1, 1, 1, 1, END, 0, 0],
        [START, 1, END, 0, 0, 0, 0, 0],
        [START, END, 0, 0, 0, 0, 0, 0],
    ]
    assert torch.equal(drop_tokens(tokens, 0.0), tokens)
    many = titles([5] * 6).expand(1000, -1)
    assert 0.15 < (drop_tokens(many, 0.2) == 1).float().mean() * 8 / 6 < 0.25


def test_a_listing_always_keeps_a_modality() -> None:
    torch.manual_seed(0)
    whole = torch.ones(1000, 2, dtype=torch.bool)
    kept = drop_modalities(whole, 0.4)
    assert kept.any(dim=1).all()
    picture_lost, title_lost = (~kept).sum(dim=0).tolist()
    assert 150 < picture_lost < 250 and 150 < title_lost < 250
    picture_lost, title_lost = (~drop_modalities(whole, 0.4, of_titles=0.75)).sum(dim=0).tolist()
    assert 60 < picture_lost < 140 and 250 < title_lost < 350
    half = torch.tensor([[True, False], [False, True]]).repeat(100, 1)
    assert torch.equal(drop_modalities(half, 1.0), half)


def test_swapped_listings_show_what_the_one_before_shows() -> None:
    torch.manual_seed(0)
    both = torch.ones(1000, dtype=torch.bool)
    both[::10] = False
    pictures, titles = swap(both, 0.4)
    rows = torch.arange(1000)
    elsewhere = torch.stack([pictures != rows, titles != rows])
    assert not elsewhere.all(dim=0).any() and not elsewhere[:, ~both].any()
    assert all(150 < number < 210 for number in elsewhere.sum(dim=1).tolist())  # 180 of 900
    seldom, often = ((shown != rows).sum() for shown in swap(both, 0.4, of_titles=0.75))
    assert 60 < seldom < 120 and 230 < often < 310  # 90 and 270
    for shown in (pictures, titles):
        assert both[shown[shown != rows]].all()
    assert pictures[pictures != rows].tolist() == [
        row - (2 if row % 10 == 1 else 1) if row > 1 else 999 for row in rows[pictures != rows].tolist()
    ]
    alone = torch.tensor([False, True, False])
    assert [rows.tolist() for rows in swap(alone, 1.0)] == [[0, 1, 2]] * 2  # there is no other
