"""What towers learn from training listings before the stages: a picture tower the statistics that standardise its
features, a title tower the vectors of tokens."""

import numpy as np
import torch

from models.inputs.examples import Examples
from models.network.cma_clip import CmaClip
from models.network.picture_tower import PictureTower
from models.network.title_tower import TitleTower

_MOST = 512  # pictures, of many cells each
_CHUNK = 32
_FEWEST_PAIRS = 100  # of picture and title, to learn the meanings of words from


@torch.inference_mode()
def fit_titles(network: CmaClip, examples: Examples) -> None:
    """Fits a `TitleTower`, unless the network has another one or it is fitted: to the listings with picture and title,
    or to all titles where there are few of these or no `PictureTower`; and to their labels."""
    pictures, titles = network.backbone.visual, network.backbone.text
    if not isinstance(titles, TitleTower) or titles.fitted:
        return
    both = np.flatnonzero(examples.present.all(axis=1))
    if not isinstance(pictures, PictureTower) or len(both) < _FEWEST_PAIRS:
        titled = examples.present[:, 1]
        if titled.any():
            titles.fit(examples.tokens[titled], examples.labels[titled])
        return
    network.eval()
    shown = [
        pictures.summary(network.backbone.features(torch.from_numpy(examples.pictures[rows]).to(pictures.mean.device)))
        for rows in np.array_split(both, -(-len(both) // _CHUNK))
    ]
    titles.fit(examples.tokens[both], examples.labels[both], torch.cat(shown).cpu().numpy())


@torch.inference_mode()
def fit_statistics(network: CmaClip, examples: Examples) -> None:
    """Fits them, unless the network has them or has no picture tower, or no listing has a picture. The same listings
    give the same numbers."""
    tower = network.backbone.visual
    shown = np.flatnonzero(examples.present[:, 0])
    if not isinstance(tower, PictureTower) or tower.fitted or not len(shown):
        return
    network.eval()
    rows = shown[:: -(-len(shown) // _MOST)]
    chunks = np.array_split(rows, -(-len(rows) // _CHUNK))
    pictures = (torch.from_numpy(examples.pictures[chunk]).to(tower.mean.device) for chunk in chunks)
    tower.fit_statistics(torch.cat([network.backbone.features(part) for part in pictures]))
