"""The shares of colours in the cells of a picture."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from models.network.colours import ColourShares, palette


def test_lab_is_that_of_a_colour_management_system() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    stored = np.asarray(ImageCms.applyTransform(Image.fromarray(rgb), to_lab)).astype(int)
    expected = np.stack([stored[..., 0] / 2.55, *(stored[..., k].astype(np.int8) for k in (1, 2))], axis=-1)
    colours = ColourShares(image_size=(8, 8), grid=(1, 1))
    found = colours.lab(torch.from_numpy(rgb) / 255).numpy()
    # Pillow's profile has the white of D50, and eight bits a channel.
    assert np.abs(found - expected).mean() < 3


def test_the_palette_is_even_closest_around_grey_and_within_srgb() -> None:
    found = palette()
    assert len(found) == 120
    grey = found[found[:, 1:].norm(dim=1) < 1]
    assert grey[:, 0].tolist() == [8, 22, 36, 50, 64, 78, 92]
    distances = torch.cdist(found, found) + 1e9 * torch.eye(len(found))
    assert 9 < distances.min() < distances.min(dim=1).values.max() < 45


def test_a_cell_has_the_shares_of_its_own_pixels() -> None:
    """The left cell is half black and half white, the right one red."""
    picture = torch.zeros(1, 8, 16, 3, dtype=torch.uint8)
    picture[:, 4:, :8] = 255
    picture[:, :, 8:, 0] = 255
    colours = ColourShares(image_size=(8, 16), grid=(1, 2))
    shares = colours(picture)[0, :, 0].square()
    assert shares.sum(dim=0).tolist() == pytest.approx([1, 1], abs=1e-3)
    lightest, darkest = colours.palette[:, 0] > 90, colours.palette[:, 0] < 10
    assert shares[lightest, 0].sum() == pytest.approx(0.5, abs=0.05)
    assert shares[darkest, 0].sum() == pytest.approx(0.5, abs=0.05)
    nearest = colours.palette[shares[:, 1].argmax()]
    assert nearest[1] > 30 and nearest[2] > 30  # towards red and yellow


def test_pictures_that_the_grid_does_not_divide() -> None:
    found = ColourShares(image_size=(28, 20), grid=(2, 3))(torch.zeros(2, 28, 20, 3))
    assert found.shape == (2, 120, 2, 3)
    assert found.square().sum(dim=1).sub(1).abs().max() < 1e-3
