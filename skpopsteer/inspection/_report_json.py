"""A report as plain values, which strict JSON can hold."""

import dataclasses
import json
from collections.abc import Mapping
from numbers import Integral, Real

import numpy as np

__all__ = ["as_json", "plain"]


def plain(value):
    """Turn a value into what JSON knows.

    Parameters
    ----------
    value : object
        Of dataclasses, mappings, sequences, arrays, numbers, strings and None.

    Returns
    -------
    dict, list, str, int, float, bool or None
        A number that is not finite becomes None. Keys become strings.

    Raises
    ------
    TypeError
        For anything else, whose print may tell of the machine.
    """
    if value is None or isinstance(value, bool | np.bool_):
        return None if value is None else bool(value)
    if isinstance(value, str):
        # Halves of surrogate pairs are no text in any encoding.
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value) if np.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(one) for one in ordered]
    raise TypeError(
        "`value` must be of plain values to be written as JSON; got "
        f"{type(value).__name__}. Convert it first."
    )


def as_json(values):
    """Write plain values.

    Parameters
    ----------
    values : dict
        Of :func:`plain`.

    Returns
    -------
    str
        Keys in the order they are in, the elements of a list in a line each, and a line
        break at the end.
    """
    members = [f"  {_write(key)}: {_member(value)}" for key, value in values.items()]
    return "{\n" + ",\n".join(members) + "\n}\n"


def _member(value):
    if isinstance(value, list) and value:
        lines = ",\n".join(f"    {_write(one)}" for one in value)
        return f"[\n{lines}\n  ]"
    return _write(value, indent=2).replace("\n", "\n  ")


def _write(value, indent=None):
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
