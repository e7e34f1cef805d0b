"""Displays and tables: every argument replaced by something else in turn."""

import inspect
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from skpopsteer import inspection
from skpopsteer.inspection import (
    Ablation,
    Comparison,
    EffectSizeDisplay,
    ExposureDisplay,
    LevelComparison,
    ListChange,
    NeuronExplorer,
    PopularityAudit,
    PopularityLiftDisplay,
    PriceExplanation,
    ReliabilityDisplay,
    Specificity,
    SteeringReport,
    TradeOffDisplay,
    ablate_neurons,
    compare,
    explain_changes,
    explain_prices,
    steering_report,
    steering_specificity,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt
from tests.fuzz.covering import covers
from tests.fuzz.models import HELD_OUT, N_ITEMS, RERANKERS, TRAIN, fitted, table_host
from tests.fuzz.strategies import NONSENSE, bad_matrices
from tests.instances import small_probe


def _named(ending):
    return fitted(next(name for name in sorted(RERANKERS) if name.endswith(ending)))


@cache
def _item_probe():
    return small_probe().fit(table_host().item_embeddings_)


def _ax(n_axes=1):
    return Figure().subplots(1, n_axes)


LISTS = np.tile(np.arange(5), (TRAIN.shape[0], 1))
FEATURES = np.eye(N_ITEMS, 3)
#: Good calls, by what they return: each argument is then replaced in turn.
CALLS = {
    "ablate_neurons": lambda: (
        ablate_neurons,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "neurons": [0, 1],
            "n_controls": 2,
            "random_state": 0,
        },
        Ablation,
    ),
    "compare": lambda: (
        compare,
        {
            "models": {"host": table_host(), "penalty": _named("PenaltyReranker")},
            "X": TRAIN,
            "y": HELD_OUT,
            "n_recommendations": 5,
        },
        Comparison,
    ),
    "compare at levels": lambda: (
        compare,
        {
            "models": {"penalty": (_named("PenaltyReranker"), [0, 1.0])},
            "X": TRAIN,
            "y": HELD_OUT,
            "validation": (TRAIN, HELD_OUT),
            "levels": (0.9,),
            "host": table_host(),
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
        },
        LevelComparison,
    ),
    "explain_changes": lambda: (
        lambda **arguments: explain_changes(**arguments)[0],
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN[:2],
            "n_neurons": 2,
            "strength": 3.0,
            "n_recommendations": 5,
        },
        ListChange,
    ),
    "explain_prices": lambda: (
        explain_prices,
        {
            "model": _named("SlotPricingRecommender"),
            "probe": _item_probe(),
            "item_names": [str(i) for i in range(N_ITEMS)],
            "n_examples": 2,
            "n_shown": 2,
        },
        PriceExplanation,
    ),
    "steering_specificity": lambda: (
        steering_specificity,
        {
            "models": {"penalty": _named("PenaltyReranker")},
            "X": TRAIN,
            "y": HELD_OUT,
            "attributes": {"kind": FEATURES},
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
        },
        Specificity,
    ),
    "neuron explorer": lambda: (
        NeuronExplorer.from_model,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "n_users": 3,
            "item_titles": [str(i) for i in range(N_ITEMS)],
            "random_state": 0,
        },
        NeuronExplorer,
    ),
    "steering report": lambda: (
        steering_report,
        {
            "model": _named("SteeredRecommender"),
            "X": TRAIN,
            "y": HELD_OUT,
            "n_users": 3,
            "strengths": [0, 1.0],
            "random_state": 0,
        },
        SteeringReport,
    ),
    "audit": lambda: (
        lambda X, y, **parameters: PopularityAudit(**parameters).fit(X, y),
        {"recommender": table_host(), "X": TRAIN, "y": HELD_OUT, "random_state": 0},
        PopularityAudit,
    ),
    "trade-off": lambda: (
        TradeOffDisplay.from_estimator,
        {
            "model": _named("PenaltyReranker"),
            "X": TRAIN,
            "y": HELD_OUT,
            "strengths": [0, 1.0],
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
    "trade-off of lists": lambda: (
        TradeOffDisplay.from_predictions,
        {
            "X": TRAIN,
            "y": HELD_OUT,
            "recommendations": {0.0: LISTS, 1.0: LISTS[:, ::-1]},
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        TradeOffDisplay,
    ),
    "effect sizes": lambda: (
        EffectSizeDisplay.from_estimator,
        {"estimator": _named("SteeredRecommender"), "n_labels": 2, "ax": _ax()},
        EffectSizeDisplay,
    ),
    "effect sizes of scores": lambda: (
        EffectSizeDisplay.from_predictions,
        {
            "scores": np.array([0.5, -1.0, 0.0]),
            "selected": np.array([True, False, True]),
            "labels": {0: "a"},
            "ax": _ax(),
        },
        EffectSizeDisplay,
    ),
    "exposure": lambda: (
        ExposureDisplay.from_estimator,
        {
            "models": {"host": table_host()},
            "X": TRAIN,
            "n_recommendations": 5,
            "ax": _ax(2),
        },
        ExposureDisplay,
    ),
    "exposure of lists": lambda: (
        ExposureDisplay.from_predictions,
        {"X": TRAIN, "recommendations": {"a": LISTS}, "ax": _ax(2)},
        ExposureDisplay,
    ),
    "lift": lambda: (
        PopularityLiftDisplay.from_estimator,
        {
            "models": {"host": table_host()},
            "X": TRAIN,
            "n_recommendations": 5,
            "n_boot": 3,
            "random_state": 0,
            "ax": _ax(),
        },
        PopularityLiftDisplay,
    ),
    "lift of lists": lambda: (
        PopularityLiftDisplay.from_predictions,
        {"X": TRAIN, "recommendations": {"a": LISTS}, "n_boot": 3, "ax": _ax()},
        PopularityLiftDisplay,
    ),
    "reliability": lambda: (
        ReliabilityDisplay.from_estimator,
        {"model": _named("RelevanceCalibrator"), "ax": _ax()},
        ReliabilityDisplay,
    ),
}


@covers(
    *(
        f"inspection.{name}"
        for name in (
            "Ablation",
            "Comparison",
            "EffectSizeDisplay",
            "ExposureDisplay",
            "LevelComparison",
            "ListChange",
            "NeuronExplorer",
            "PopularityAudit",
            "PopularityLiftDisplay",
            "PriceExplanation",
            "ReliabilityDisplay",
            "Specificity",
            "SteeringReport",
            "TradeOffDisplay",
            "ablate_neurons",
            "compare",
            "explain_changes",
            "explain_prices",
            "steering_report",
            "steering_specificity",
        )
    )
)
@pytest.mark.parametrize("name", sorted(CALLS))
@examples(6, times_longer=40)
@given(odd=st.sampled_from(NONSENSE), data=st.data())
def test_argument_is_taken_or_refused(name, odd, data):
    call, arguments, kind = CALLS[name]()
    if name not in _ANSWERED:
        assert isinstance(answer(call, **arguments), kind)
        _ANSWERED.add(name)
    broken = data.draw(st.sampled_from(sorted(set(arguments) - {"ax"})))
    if broken in ("y", "X"):
        odd = data.draw(st.one_of(st.just(odd), bad_matrices(TRAIN.shape)))
    if broken in UNCHECKED.get(name, ()):
        return
    result = attempt(call, **(arguments | {broken: odd}))
    if not isinstance(result, Refusal):
        assert isinstance(result, kind)
        assert str(result)


#: Arguments that are used as they come, and complain in Python's words if at all.
UNCHECKED = {
    "compare at levels": {"levels"},
    "effect sizes": {"n_labels"},
    "effect sizes of scores": {"labels", "scores", "selected"},
    "explain_prices": {"item_names", "n_examples", "n_shown", "probe"},
    "exposure of lists": {"recommendations"},
    "trade-off": {"strengths"},
}
_ANSWERED: set[str] = set()


@pytest.mark.parametrize("name", sorted(CALLS))
@examples(3, times_longer=20)
@given(odd=st.sampled_from(NONSENSE))
def test_frames_of_results_refuse_other_libraries(name, odd):
    call, arguments, _ = CALLS[name]()
    if name not in _RESULTS:
        _RESULTS[name] = answer(call, **arguments)
    result = _RESULTS[name]
    if "backend" in inspect.signature(getattr(result, "to_frame", print)).parameters:
        assert isinstance(attempt(result.to_frame, odd), Refusal)
        assert len(answer(result.to_frame))


_RESULTS: dict = {}


def test_calls_are_of_public_names():
    kinds = {CALLS[name]()[2].__name__ for name in CALLS}
    assert kinds <= set(inspection.__all__)
