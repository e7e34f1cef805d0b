"""What steers besides ``recommend``: paths, hooks, recorders, blocks, searches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from skpopsteer.adapters import LayerOutput, TorchRecommender, as_recommender
from skpopsteer.rerankers import PopularityPenaltyReranker
from skpopsteer.steering import (
    GradientPopularityAdjuster,
    GradientRecorder,
    RelevanceCalibrator,
    SlotPricingRecommender,
    SteeredRecommender,
    TunedSteeringCV,
    steer_blocks,
    steered,
    steering_path,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.models import (
    HELD_OUT,
    N_ITEMS,
    RERANKERS,
    SHAPE,
    TRAIN,
    fitted,
    table_host,
    with_host,
)
from tests.fuzz.strategies import (
    NONSENSE,
    bad_matrices,
    bad_tables,
    bad_user_ids,
    generators,
    good_groups,
    good_popularity,
    nonsense,
    shape_of,
)
from tests.instances import small_probe

KNOBS = sorted(name for name in RERANKERS if "Relevance" not in name)
FIT_EXTRAS = [
    "user_ids",
    "item_popularity",
    "item_groups",
    "item_features",
    "gradients",
]


@covers("steering.steering_path")
@pytest.mark.parametrize("name", KNOBS)
@examples(4)
@given(strengths=st.lists(st.sampled_from([0, 0.5, 2.0]), max_size=3), odd=nonsense())
def test_path(name, strengths, odd):
    model = fitted(name)
    path = answer(steering_path, model, TRAIN, HELD_OUT, strengths)
    for scores in path.scores.values():
        assert scores.shape == (len(strengths),)
        assert np.isfinite(scores).all()
    refusal(steering_path, odd, TRAIN, HELD_OUT, [0])
    refusal(steering_path, model, TRAIN, HELD_OUT, [0], scoring=odd)
    bad = attempt(steering_path, model, TRAIN, HELD_OUT, odd)
    assert isinstance(bad, Refusal) or shape_of(odd) in ((), (0,), (0, 0), (2, 2, 2))
    attempt(steering_path, model, TRAIN, odd, [0])
    attempt(steering_path, model, TRAIN, HELD_OUT, [0], user_ids=odd)


@covers(
    "steering.SteeredRecommender",
    "steering.GradientPopularityAdjuster",
    "steering.RelevanceCalibrator",
    "steering.SlotPricingRecommender",
)
@pytest.mark.parametrize("name", sorted(RERANKERS))
@examples(5, times_longer=20)
@given(extra=st.sampled_from(FIT_EXTRAS), odd=nonsense(None), data=st.data())
def test_fit_parameters(name, extra, odd, data):
    model = with_host(name)
    if extra not in model.fit.__code__.co_varnames and extra not in _fit_names(model):
        return
    strange = {
        "user_ids": bad_user_ids(*SHAPE[:1], SHAPE[0]),
        "item_popularity": good_popularity(N_ITEMS).map(lambda p: p[0]),
        "item_groups": good_groups(N_ITEMS, n_groups=2).map(lambda g: g[0]),
        "item_features": st.just(np.eye(N_ITEMS)),
        "gradients": bad_tables(N_ITEMS, 4),
    }[extra]
    attempt(model.fit, TRAIN, HELD_OUT, **{extra: data.draw(strange)})
    attempt(with_host(name).fit, TRAIN, HELD_OUT, **{extra: odd})
    if "Relevance" in name or "Slot" in name:
        attempt(with_host(name).fit, TRAIN, odd)
        attempt(with_host(name).fit, TRAIN, data.draw(bad_matrices(SHAPE)))


def _fit_names(model):
    import inspect

    return inspect.signature(model.fit).parameters


@pytest.mark.parametrize("name", KNOBS)
@examples(4, times_longer=20)
@given(odd=nonsense(), popularity=good_popularity(N_ITEMS))
def test_with_host(name, odd, popularity):
    model = fitted(name)
    if not hasattr(model, "with_host"):
        return
    refusal(model.with_host, odd)
    again = attempt(model.with_host, model.recommender_, item_popularity=popularity[0])
    if not isinstance(again, Refusal):
        attempt(again.recommend, TRAIN)
    attempt(model.with_host, model.recommender_, item_popularity=odd)


@covers("steering.TunedSteeringCV")
@examples(6, times_longer=20)
@given(
    target=st.one_of(st.none(), st.floats(-2, 2)),
    within=st.one_of(st.none(), st.floats(0, 0.9)),
    strengths=st.sampled_from(
        [None, [0, 1], [1], [], [0, 0], ["a"], [np.nan], [[0, 1]], 5]
    ),
    objective=st.sampled_from(["ndcg@3", "coverage", "no such", "gini", "ndcg@0", 5]),
)
def test_tuned(target, within, strengths, objective):
    tuned = TunedSteeringCV(
        PopularityPenaltyReranker(table_host()),
        target=target,
        within=within,
        strengths=strengths,
        objective=objective,
        cv=2,
        n_boot=2,
        random_state=0,
    )
    result = attempt(tuned.fit, TRAIN, HELD_OUT)
    if not isinstance(result, Refusal):
        assert np.isfinite(result.best_strength_)
        answer(tuned.recommend, TRAIN)


def _steered_module():
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Linear(N_ITEMS, 3), torch.nn.Linear(3, N_ITEMS)
    )
    host = TorchRecommender(
        module, encoder=LayerOutput("0"), item_embeddings="1.weight", item_bias="1.bias"
    )
    model = SteeredRecommender(
        as_recommender(host), rule="shift", probe=small_probe(), random_state=0
    )
    return module, model.fit(TRAIN)


MODULE, MODEL = _steered_module()


def _run_steered(module, layer, model, rows, strength=None):
    with steered(module, layer, model, strength=strength), torch.no_grad():
        return module(rows).numpy()


@covers("steering.steered")
@examples(60)
@given(
    rng=generators(),
    odd=nonsense(),
    strength=st.sampled_from([None, 0, 1.0, *NONSENSE]),
)
def test_steered_module(rng, odd, strength):
    rows = torch.from_numpy(rng.random((3, N_ITEMS))).float()
    with torch.no_grad():
        own = MODULE(rows).numpy()
    assert_array_equal(answer(_run_steered, MODULE, "0", MODEL, rows, 0), own)
    changed = attempt(_run_steered, MODULE, "0", MODEL, rows, strength)
    assert isinstance(changed, Refusal) or np.isfinite(changed).all()
    refusal(_run_steered, odd, "0", MODEL, rows)
    if not isinstance(odd, str) or odd:
        refusal(_run_steered, MODULE, odd, MODEL, rows)
    refusal(_run_steered, MODULE, "0", odd, rows)
    refusal(_run_steered, MODULE, "1", MODEL, rows)


@covers("steering.GradientRecorder")
@examples(60)
@given(
    rng=generators(),
    name=st.sampled_from(["positives", "users", "bias"]),
    odd=nonsense(None),
    n=st.integers(0, 4),
)
def test_gradient_recorder(rng, name, odd, n):
    recorder = GradientRecorder()
    table = torch.from_numpy(rng.normal(size=(5, 3))).requires_grad_()
    looked_up = table[: n or 1]
    answer(
        recorder.watch,
        **({"positives": looked_up} | ({"users": looked_up} if n else {})),
    )
    (looked_up**2).sum().backward()
    np.testing.assert_allclose(
        recorder.positives_,
        2 * looked_up.detach().numpy().sum(axis=0),
        rtol=1e-5,
        atol=1e-6,
    )
    given_arguments = {"positives": looked_up} | {name: odd}
    refusal(GradientRecorder().watch, **given_arguments)
    refusal(recorder.watch, positives=torch.zeros(2, 4, requires_grad=True))
    attempt(recorder.watch, positives=torch.tensor(1.0, requires_grad=True))


@covers("steering.steer_blocks")
@examples(40)
@given(odd=nonsense(), rng=generators(), n=st.integers(0, 5), data=st.data())
def test_steer_blocks(odd, rng, n, data):
    dask = pytest.importorskip("dask.array")
    model = fitted(next(name for name in KNOBS if name.endswith("SteeredRecommender")))
    U = rng.normal(size=(n, 4)).astype(np.float32)
    blocks = answer(steer_blocks, model, dask.from_array(U, chunks=(2, 4)))
    assert blocks.compute(scheduler="synchronous").shape == U.shape
    refusal(steer_blocks, odd, dask.from_array(U))
    refusal(steer_blocks, model, odd)
    refusal(steer_blocks, model, "no such file", "target")
    refusal(steer_blocks, model, dask.from_array(U[:, :2]))
    attempt(steer_blocks, model, dask.from_array(U), strength=odd)
    if odd is not None:
        refusal(steer_blocks, model, dask.from_array(U), odd)


@examples(40)
@given(odd=nonsense(), data=st.data())
def test_gradients_refuse(odd, data):
    model = GradientPopularityAdjuster(table_host(), direction="recorded")
    strange = data.draw(bad_tables(N_ITEMS, 4).filter(lambda t: shape_of(t) != (4,)))
    refusal(model.fit, TRAIN, gradients=strange)
    refusal(model.fit, TRAIN, gradients=odd)
    refusal(model.fit, TRAIN, gradients=(np.ones(4), np.ones(4), np.ones(4)))
    refusal(model.fit, TRAIN)


@examples(15, times_longer=20)
@given(odd=nonsense(), data=st.data())
def test_calibrators_refuse(odd, data):
    for make in (RelevanceCalibrator, SlotPricingRecommender):
        model = make(table_host(), pool_size=5, random_state=0)
        refusal(model.fit, TRAIN, data.draw(bad_matrices(SHAPE, allow_dense=False)))
        attempt(model.fit, TRAIN, odd)
