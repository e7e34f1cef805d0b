"""Every constructor parameter of every estimator, with values of every wrong kind."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

from skpopsteer.adapters import ArrayRecommender
from skpopsteer.inspection import PopularityAudit
from skpopsteer.neurons import NeuronInterpreter
from skpopsteer.rerankers import PopularityPenaltyReranker
from skpopsteer.steering import TunedSteeringCV
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, attempt
from tests.fuzz.covering import covers
from tests.fuzz.models import (
    HELD_OUT,
    N_ITEMS,
    N_USERS,
    RECOMMENDERS,
    SELECTORS,
    TRAIN,
    table_host,
    with_host,
)
from tests.fuzz.strategies import NONSENSE
from tests.instances import small_probe

#: Numbers at and beyond the ends of what a parameter may be.
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    10**30,
    0.0,
    -0.0,
    0.5,
    1.0,
    -0.5,
    1e-300,
    5e-324,
    1e300,
    -1e300,
    float("nan"),
    float("inf"),
    -float("inf"),
    True,
    False,
    np.int8(2),
    np.float32(0.5),
    np.float64("nan"),
    np.array(2),
    np.array([2]),
    "1",
    "auto",
    "none",
)
#: More of these is more work, which is what the caller asks for.
WORK = {
    "n_epochs",
    "max_iter",
    "n_init",
    "n_passes",
    "n_neurons",
    "batch_size",
    "cv",
    "n_boot",
    "n_permutations",
    "n_jobs",
    "max_users",
    "n_samples",
    "patience",
    "refine",
}


class _NoMemory:
    """What joblib's memory would be, but for writing to the disk."""

    def cache(self, function, **_):
        return function


OTHERS = {
    "ArrayRecommender": lambda: ArrayRecommender(
        np.eye(N_USERS, 3), np.eye(N_ITEMS, 3), item_bias=np.zeros(N_ITEMS)
    ),
    "NeuronInterpreter": lambda: NeuronInterpreter(
        table_host(), _probe(), n_cases=2, random_state=0
    ),
    "PopularityAudit": lambda: PopularityAudit(table_host(), random_state=0),
    "SparseAutoencoderProbe": small_probe,
    "TunedSteeringCV": lambda: TunedSteeringCV(
        PopularityPenaltyReranker(table_host()),
        target=0.5,
        cv=2,
        n_boot=3,
        random_state=0,
    ),
}


@cache
def _probe():
    return small_probe().fit(table_host().encode_users(TRAIN))


def _make(name):
    if name in RECOMMENDERS:
        return with_host(name)
    if name in SELECTORS:
        return clone(SELECTORS[name])
    return OTHERS[name]()


def _use(model, name):
    """Fit a model, and ask it for whatever it gives."""
    if name in SELECTORS or name == "SparseAutoencoderProbe":
        rng = np.random.default_rng(0)
        Z = np.abs(rng.normal(size=(20, 8))) * (rng.random((20, 8)) < 0.6)
        y = np.tile([1, -1, 0, 1], 5) if "Popularity" in name else np.tile([1, 0], 10)
        if "Union" in name or "Control" in name:
            y = np.tile([1, -1], 10)
        fitted = attempt(model.fit, Z, y)
        if not isinstance(fitted, Refusal):
            out = attempt(model.transform, Z)
            assert isinstance(out, Refusal) or out.shape[0] == 20
        return fitted
    if name == "ArrayRecommender":
        fitted = model
    else:
        fitted = attempt(model.fit, TRAIN, HELD_OUT)
    if not isinstance(fitted, Refusal) and hasattr(model, "recommend"):
        lists = attempt(model.recommend, TRAIN)
        if not isinstance(lists, Refusal):
            for row in lists:
                held = row[row >= 0].tolist()
                assert len(set(held)) == len(held)
                assert all(item < N_ITEMS for item in held)
    return fitted


CASES = [
    (name, parameter)
    for name in [*RECOMMENDERS, *SELECTORS, *OTHERS]
    for parameter in sorted(_make(name).get_params(deep=False))
    if parameter != "memory"
]


@covers(
    "neurons.NeuronInterpreter",
    "inspection.PopularityAudit",
    "adapters.ArrayRecommender",
    "sae.SparseAutoencoderProbe",
    "steering.TunedSteeringCV",
    *(f"neurons.{type(s).__name__}" for s in SELECTORS.values()),
)
@pytest.mark.parametrize("name", sorted({name for name, _ in CASES}))
# So many times longer, nearly every value is tried of every parameter.
@examples(12, times_longer=100)
@given(data=st.data())
def test_parameter_is_taken_or_refused(name, data):
    own = [parameter for of, parameter in CASES if of == name]
    parameter = data.draw(st.sampled_from(own))
    value = data.draw(st.sampled_from([*NUMBERS, *NONSENSE]))
    if parameter in WORK and isinstance(value, int) and value > 10:
        return
    if isinstance(value, type):
        # A class where a function is asked for: what it raises is the caller's own.
        return
    model = _make(name)
    model.set_params(**{parameter: value})
    _use(model, name)
