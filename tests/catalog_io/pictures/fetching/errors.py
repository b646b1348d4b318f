"""The settings that the tests fetch with, and the code of the error that a fetch raises."""

from collections.abc import Callable

import pytest

from catalog_io.pictures.fetching.settings import FetchSettings
from schemas.pictures import PictureError

OPEN = FetchSettings(allow_private=("127.0.0.1",), max_bytes=100_000, timeout=5)


def code_of(read: Callable[[], object]) -> str:
    with pytest.raises(PictureError) as fault:
        read()
    assert "pa55" not in fault.value.sentence
    return fault.value.code
