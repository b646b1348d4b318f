"""The checker that tests switch on for all of `models`: every function, and every dataclass, whose annotations name the
shape of an array is held to them at each call. Other annotations are mypy's business."""

from collections.abc import Callable
from typing import Any, get_args

from beartype import beartype
from jaxtyping import AbstractArray


def check_shapes(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function itself, or, where its annotations name shapes, one that beartype checks."""
    if any(_names_a_shape(hint) for hint in getattr(function, "__annotations__", {}).values()):
        return beartype(function)
    return function


def _names_a_shape(hint: Any) -> bool:
    return (isinstance(hint, type) and issubclass(hint, AbstractArray)) or any(map(_names_a_shape, get_args(hint)))
