"""CUDA's streams, events and graphs on the processor: what is captured is recorded operation by operation, and a replay
computes it again into the same memory. What a real graph could not capture is an error here, too."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from models.engines.nvidia import cuda_engine as engine
from models.engines.nvidia import slots as slot

NAME = "NVIDIA Simulated (compute capability 9.0)"
_NEEDS_THE_PROCESSOR = ("_local_scalar_dense", "nonzero", "masked_select", "unique")


class Idle:
    """In place of a stream or an event: all is done at once."""

    def wait_event(self, event: "Idle") -> None: ...
    def synchronize(self) -> None: ...
    def record(self, stream: "Idle") -> None: ...


class Graph(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], list[Any]]] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        assert not any(name in operation.name() for name in _NEEDS_THE_PROCESSOR), f"{operation} cannot be captured"
        made = operation(*arguments, **(options or {}))
        self._calls.append((operation, arguments, options or {}, tree_leaves(made)))
        return made

    def replay(self) -> None:
        with torch.inference_mode():
            for operation, arguments, options, before in self._calls:
                for old, new in zip(before, tree_leaves(operation(*arguments, **options)), strict=True):
                    if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


@contextmanager
def _captured(graph: Graph, **_: object) -> Iterator[None]:
    with graph:
        yield


def simulate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, put in {
        **{"Stream": Idle, "Event": Idle, "CUDAGraph": Graph, "graph": _captured, "stream": lambda _: nullcontext()},
        **{"synchronize": lambda: None, "graph_pool_handle": lambda: None, "is_bf16_supported": lambda **_: True},
        "is_available": lambda: True,
        "get_device_name": lambda: NAME.partition(" (")[0],
        "get_device_capability": lambda: (9, 0),
    }.items():
        monkeypatch.setattr(torch.cuda, name, put)
    monkeypatch.setattr("models.engines.nvidia.driver._has_driver", lambda: True)
    monkeypatch.setattr(engine, "DEVICE", "cpu")
    monkeypatch.setattr(
        slot, "_with_pinned", lambda tensors: {name: (torch.zeros_like(t), t) for name, t in tensors.items()}
    )
