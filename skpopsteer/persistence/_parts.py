"""What a model is made of, wherever it holds it."""

from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from skpopsteer.steering._side import SteeredSide

__all__ = ["OF_ONE_MACHINE", "is_implicit", "parts_of"]

#: Parameters that name a file or folder of one machine, by the name they have in every
#: estimator. They are not saved, and what a file says of them is not asked: training
#: writes to the one, and reads pickles from the other.
OF_ONE_MACHINE = ("checkpoint", "memory")


def parts_of(value):
    """Return what is in there, each once: estimators, sides, sparse, of implicit."""
    found, waiting = {}, [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
        elif id(value) not in found and (
            isinstance(value, BaseEstimator | SteeredSide)
            or is_implicit(value)
            or issparse(value)
        ):
            found[id(value)] = value
            waiting.append(vars(value))
    return list(found.values())


def is_implicit(value):
    return type(value).__module__.startswith("implicit.")
