"""What a metric asks for, by the names of its parameters."""

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["ONE_ROW_A_USER", "call_arguments", "parameters"]

#: Arguments that are cut when users are.
ONE_ROW_A_USER = ("X", "y", "recommendations")


def parameters(function: Callable[..., Any]) -> set[str]:
    """Return the names of a metric's parameters."""
    return set(inspect.signature(function).parameters)


def call_arguments(
    function: Callable[..., Any], known: dict[str, Any], k: int | None
) -> dict[str, Any]:
    """Choose from what is known, with the length of the lists."""
    names = parameters(function)
    arguments = {name: known[name] for name in names if name in known}
    if "k" in names:
        return arguments | {"k": k}
    return arguments | {"recommendations": known["recommendations"][:, :k]}
