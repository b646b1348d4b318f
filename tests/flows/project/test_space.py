"""A run that a disk has no room for says so before it writes."""

import shutil
from pathlib import Path

import pytest

from flows.project.space import require_space
from schemas.errors import UserError


def test_the_sentence_says_what_is_needed_and_what_is_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    require_space(tmp_path, 1000, "tagging 2 listings")
    with pytest.raises(
        UserError, match=rf"^tagging 2 listings needs about .* GB on the disk of {tmp_path}, and .* free"
    ):
        require_space(tmp_path, free * 2, "tagging 2 listings")
