from collections.abc import Iterator

import pytest
import torch

from models.training.presets import Preset
from tests.models.tiny import clip_folder, tiny_preset


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower on two threads; and sums come out the same everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def backbone_name(tmp_path_factory: pytest.TempPathFactory) -> str:
    return clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def preset(backbone_name: str) -> Preset:
    return tiny_preset(backbone_name)
