import inspect
from typing import get_args

import pytest

from flows.project.settings import TagSettings
from models.engines.table import ENGINES, REFERENCE, EngineClass, EngineName, candidates


def test_engines_have_the_methods_that_the_table_promises() -> None:
    def shape(method: object) -> list[tuple[str, object]]:
        return [(one.name, one.kind) for one in inspect.signature(method).parameters.values() if one.name != "self"]

    for name, entry in ENGINES.items():
        if entry.missing() is None:
            for method in ("identity_here", "build", "open"):
                assert shape(getattr(entry.load(), method)) == shape(getattr(EngineClass, method)), (name, method)


def test_the_setting_takes_the_engines_of_the_table_and_no_others() -> None:
    assert get_args(EngineName) == ("auto", *ENGINES)
    for name in ("auto", *ENGINES):
        assert TagSettings(engine=name).engine == name
    with pytest.raises(ValueError, match="'auto', 'tensorrt', 'cuda', 'openvino' or 'torch'"):
        TagSettings(engine="another")


def test_the_reference_comes_last_and_is_always_there() -> None:
    assert candidates("auto")[-1] == list(ENGINES)[-1] == REFERENCE and ENGINES[REFERENCE].missing() is None
