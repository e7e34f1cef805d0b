"""Splits hide what they say, and what chooses a candidate chooses one."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy.sparse import issparse

from skpopsteer.model_selection import (
    HeldOut,
    best_subject_to,
    hide_interactions,
    interaction_folds,
    knee,
)
from tests.fuzz.budget import examples
from tests.fuzz.calls import Refusal, answer, attempt, refusal
from tests.fuzz.covering import covers
from tests.fuzz.strategies import (
    bad_counts,
    bad_matrices,
    bad_shares,
    generators,
    histories,
    nonsense,
    random_states,
    shapes,
    sparse_forms,
)


@covers("model_selection.hide_interactions")
@examples(300)
@given(
    shape=shapes(),
    test_size=st.one_of(
        st.floats(0, 1, exclude_min=True, exclude_max=True),
        st.integers(1, 20),
        st.sampled_from([10**30, np.int8(3), np.float32(0.5)]),
    ),
    random_state=random_states(),
    timed=st.booleans(),
    data=st.data(),
)
def test_hide_interactions(shape, test_size, random_state, timed, data):
    dense = data.draw(histories(shape))
    X = data.draw(sparse_forms(dense))
    rng = data.draw(generators())
    moments = np.where(dense > 0, rng.integers(1, 9, shape), 0)
    times = data.draw(sparse_forms(moments)) if timed else None
    options = {"test_size": test_size, "times": times, "random_state": random_state}
    seen, y = answer(hide_interactions, X, **options)
    assert set(y.data.tolist()) <= {1.0}
    hidden = y.toarray() > 0
    assert_array_equal(np.where(hidden, 0, dense), seen.toarray())
    lengths, n_hidden = (dense > 0).sum(axis=1), hidden.sum(axis=1)
    assert (n_hidden < np.maximum(lengths, 1)).all()
    if isinstance(test_size, int):
        assert_array_equal(n_hidden, np.clip(lengths - 1, 0, min(test_size, 99)))
    if timed:
        for row in range(shape[0]):
            kept = (dense[row] > 0) & ~hidden[row]
            if hidden[row].any():
                assert moments[row][kept].max() <= moments[row][hidden[row]].min()
    again = answer(hide_interactions, X, **options)
    assert_array_equal(y.toarray(), again[1].toarray())


@examples(250)
@given(shape=shapes(min_users=1), data=st.data())
def test_splits_refuse(shape, data):
    bad = {
        "X": bad_matrices(shape),
        "times": bad_matrices(shape).filter(lambda t: t is not None),
        "random_state": nonsense(None, int, bool),
    }
    sizes = {
        "test_size": bad_shares(-3, None).filter(lambda s: type(s) is not int or s < 1)
    }
    folds = {"n_splits": bad_counts(1, 10**30, 10**9, None)}
    for call, own in ((hide_interactions, sizes), (interaction_folds, folds)):
        every = bad | own
        arguments = {"X": np.ones(shape)}
        broken = data.draw(st.sampled_from(sorted(every)))
        arguments[broken] = data.draw(every[broken])
        refusal(call, **arguments)


@covers("model_selection.interaction_folds")
@examples(200)
@given(
    shape=shapes(min_users=1),
    n_splits=st.integers(2, 5),
    random_state=random_states(),
    timed=st.booleans(),
    data=st.data(),
)
def test_interaction_folds(shape, n_splits, random_state, timed, data):
    dense = data.draw(histories(shape))
    X = data.draw(sparse_forms(dense))
    times = data.draw(sparse_forms(dense)) if timed else None
    result = attempt(
        interaction_folds, X, n_splits, times=times, random_state=random_state
    )
    if isinstance(result, Refusal):
        assert n_splits > max(2, (dense > 0).sum())
        return
    X_folds, y_folds, cv = result
    assert X_folds.shape == y_folds.shape == (n_splits * shape[0], shape[1])
    seen, hidden = X_folds.toarray(), y_folds.toarray() > 0
    assert not ((seen > 0) & hidden).any()
    whole = np.tile(dense, (n_splits, 1))
    if timed:
        assert_array_equal(seen[seen > 0], whole[seen > 0])
    else:
        several = (dense > 0).sum(axis=1) > 1
        assert_array_equal(np.where(hidden, whole, seen), whole)
        times_hidden = hidden.reshape(n_splits, *shape).sum(axis=0)
        assert_array_equal(times_hidden, (dense > 0) & several[:, None])
    assert len(cv) == n_splits
    for fold, (train, test) in enumerate(cv):
        assert_array_equal(train, test)
        assert_array_equal(train, fold * shape[0] + np.arange(shape[0]))


@covers("model_selection.HeldOut")
@examples(150)
@given(shape=shapes(min_users=1), flat=st.booleans(), odd=nonsense(), data=st.data())
def test_held_out(shape, flat, odd, data):
    dense = data.draw(histories(shape))
    y = np.arange(shape[0]) if flat else data.draw(sparse_forms(dense))
    view = answer(HeldOut, y)
    assert len(view) == shape[0]
    row = data.draw(st.integers(-shape[0], shape[0] - 1))
    for rows in (row, [row], np.array([row]), slice(0, 1), np.arange(shape[0]) > 0):
        part = answer(view.__getitem__, rows).y
        wanted = (y if flat else dense)[[row] if rows is row else rows]
        assert_array_equal(part.toarray() if issparse(part) else part, wanted)
    assert len(list(view)) == shape[0]
    strange = attempt(HeldOut, odd)
    assert isinstance(strange, Refusal) or len(strange.shape) == 1


@st.composite
def searches(draw):
    """Mean scores of a search, some of them of candidates that failed."""
    rng = draw(generators())
    n = draw(st.integers(1, 6))
    kind = draw(st.sampled_from([0.0, 0.3, 1.0]))
    results = {}
    for name in ("a", "b"):
        scores = rng.integers(-3, 4, n) / 4
        scores[rng.random(n) < kind] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        results[f"mean_test_{name}"] = scores
    return results


@covers("model_selection.best_subject_to")
@examples(200)
@given(
    results=searches(),
    floor=st.one_of(st.none(), st.floats(-2, 2)),
    share=st.one_of(st.none(), st.floats(0, 0.9)),
)
def test_best_subject_to(results, floor, share):
    refit = answer(
        best_subject_to,
        "a",
        at_least=None if floor is None else {"b": floor},
        within=None if share is None else {"b": share},
    )
    index = attempt(refit, results)
    finite = np.isfinite(results["mean_test_a"])
    if isinstance(index, Refusal):
        no_limit = floor is None and share is None
        assert not finite.any() or (
            not no_limit and not np.isfinite(results["mean_test_b"]).any()
        )
        return
    assert 0 <= index < len(finite)
    if floor is None and share is None:
        assert results["mean_test_a"][index] == results["mean_test_a"][finite].max()
    b = np.where(np.isfinite(results["mean_test_b"]), results["mean_test_b"], np.nan)
    if floor is not None and share is None and (finite & (b >= floor)).any():
        assert b[index] >= floor


@covers("model_selection.knee")
@examples(150)
@given(results=searches())
def test_knee(results):
    index = attempt(answer(knee, "a", "b"), results)
    both = np.isfinite(results["mean_test_a"]) & np.isfinite(results["mean_test_b"])
    assert isinstance(index, Refusal) is (not both.any())
    if both.any():
        assert both[index]
        a, b = results["mean_test_a"], results["mean_test_b"]
        better = both & (a >= a[index]) & (b >= b[index])
        assert not (better & ((a > a[index]) | (b > b[index]))).any()


@examples(150)
@given(limits=nonsense(None, dict), share=bad_shares(-1.0), results=searches())
def test_choosers_refuse(limits, share, results):
    assume(share != 0)
    refusal(best_subject_to, "a", at_least=limits)
    refusal(best_subject_to, "a", within=limits)
    if not isinstance(share, bool):
        refusal(best_subject_to, "a", within={"b": share})
    refusal(best_subject_to("c"), results)
    refusal(knee("a", "c"), results)
