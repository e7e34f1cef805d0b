"""Steering by neurons that were selected in score space does what was reckoned."""

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender, as_recommender
from skpopsteer.adapters import ArrayRecommender, TorchRecommender
from skpopsteer.datasets import make_interactions
from skpopsteer.neurons import (
    ConceptNeuronSelector,
    NeuronSubset,
    NeuronUnion,
    PopularityNeuronSelector,
)
from skpopsteer.rerankers import PopularityPenaltyReranker
from skpopsteer.steering._rules import Codes, add

PROBE = SparseAutoencoderProbe(64, k=8, max_iter=40, random_state=0)
STRENGTH = 0.02


@pytest.fixture(scope="module")
def data():
    return make_interactions(400, 150, n_concepts=5, random_state=0)


@pytest.fixture(scope="module")
def host(data):
    return as_recommender(TruncatedSVD(12, random_state=0).fit(data.X))


@pytest.fixture(scope="module")
def log_popularity(data):
    popularity = np.asarray(data.X.sum(axis=0)).ravel()
    return np.log(np.maximum(popularity, 1.0))


def steer(host, X, name="score_omp", *, fit_params=None, **params):
    selector = PopularityNeuronSelector(name) if isinstance(name, str) else name
    params = {"probe": PROBE, "rule": "add", "strength": STRENGTH, **params}
    model = SteeredRecommender(host, selector=selector, random_state=0, **params)
    return model.fit(X, **(fit_params or {}))


@pytest.fixture(scope="module")
def model(host, data):
    return steer(host, data.X)


def change(model, X, **params):
    """Return by how much every score changes, less the mean of the user."""
    model = model.set_params(**params) if params else model
    changes = model.decision_function(X).astype(float)
    changes -= model.recommender_.decision_function(X)
    return changes - changes.mean(axis=1, keepdims=True)


# What was promised


def test_scores_lose_the_strength_times_the_fitted_popularity(
    model, data, log_popularity
):
    changes = change(model, data.X)
    centred = log_popularity - log_popularity.mean()
    correlation = [np.corrcoef(row, -centred)[0, 1] for row in changes]
    reached = model.selector_.target_r2_
    # Twelve dimensions hold most of what tells popular items from unpopular ones.
    assert reached > 0.85
    np.testing.assert_allclose(correlation, np.sqrt(reached), atol=1e-3)
    # A fit by least squares falls short of the target by the factor R2.
    slope = changes @ -centred / (centred @ centred)
    np.testing.assert_allclose(slope, STRENGTH * reached, rtol=1e-3)


def test_the_strength_is_that_of_the_penalty(model, host, data):
    penalty = PopularityPenaltyReranker(host, strength=STRENGTH).fit(data.X)
    wanted = change(penalty, data.X)
    got = change(model, data.X)
    share = 1 - np.square(got - wanted).sum() / np.square(wanted).sum()
    assert share == pytest.approx(model.selector_.target_r2_, abs=1e-3)


def test_a_shift_of_pre_activations_keeps_little_of_it(host, data, log_popularity):
    def correlation(rule):
        changes = change(steer(host, data.X, rule=rule), data.X)
        return np.mean([np.corrcoef(row, -log_popularity)[0, 1] for row in changes])

    assert correlation("add") > 0.9
    assert correlation("shift") < correlation("add") - 0.2


@pytest.mark.parametrize("name", ["score_correlation", "score_omp", "score_lasso"])
def test_positive_strengths_lower_popularity(host, data, log_popularity, name):
    model = steer(host, data.X, name)
    largest = np.abs(model.selector_.steering_weights_).max()
    means = [
        log_popularity[model.recommend(data.X, strength=s)].mean()
        for s in np.array([-0.05, 0, 0.05, 0.1]) * (1 if largest > 1 else 20)
    ]
    assert (np.diff(means) < 0).all(), means


def test_the_fit_beats_the_best_neurons_one_by_one(host, data):
    reached = {
        name: steer(
            host, data.X, PopularityNeuronSelector(name, n_neurons_to_select=8)
        ).selector_.target_r2_
        for name in ("score_correlation", "score_lasso", "score_omp")
    }
    assert reached["score_correlation"] < reached["score_lasso"] < reached["score_omp"]


def test_a_strength_per_user_multiplies_the_change(model, host, data):
    factors = np.linspace(0, 3, 400).astype(np.float32)
    personal = steer(host, data.X, user_strength=lambda X: factors)
    expected = factors[:, None] * change(model, data.X)
    np.testing.assert_allclose(change(personal, data.X), expected, atol=2e-5)


def test_the_host_s_first_items_stay_and_strength_0_is_the_host(host, data):
    model = steer(host, data.X, keep_top=4, strength=0.2, user_strength="profile")
    own = host.recommend(data.X)
    assert np.array_equal(model.recommend(data.X, strength=0), own)
    lists = model.predict(data.X)
    assert np.array_equal(lists[:, :4], own[:, :4])
    assert (lists[:, 4:] != own[:, 4:]).any()


def test_popularity_that_was_counted_elsewhere_is_the_target(host, data):
    counted = np.random.default_rng(0).integers(0, 1000, size=150)
    model = steer(host, data.X, fit_params={"item_popularity": counted})
    changes = change(model, data.X)[0]
    target = np.log(np.maximum(counted, 1.0))
    correlation = np.corrcoef(changes, -target)[0, 1]
    assert correlation == pytest.approx(np.sqrt(model.selector_.target_r2_), abs=1e-3)


# The rule


def test_add_adds_deviations_below_zero_and_wakes_the_silent():
    active = np.array([[3.0, 0, 1], [0, 2, 0]])
    codes = Codes(active - 5, active, None)
    push, scales = np.array([[-1.0, 0.5, 0]]), np.array([4.0, 2, 1])
    assert add(codes, push, scales, None).tolist() == [[-1, 1, 1], [-4, 3, 0]]


class Wrapped(TransformerMixin, BaseEstimator):
    """A probe of somebody else's, without a table of directions."""

    def fit(self, X, y=None):
        self.probe_ = PROBE.fit(X)
        return self

    def transform(self, X):
        return self.probe_.transform(X)

    def inverse_transform(self, Z):
        return self.probe_.inverse_transform(Z)


def test_the_short_cut_is_the_rule(model, data):
    side, U = model._user_side, model.recommender_.encode_users(data.X)
    push = side.push(0.5, 0.5, "add")
    factors = np.linspace(-1, 2, 400).astype(np.float32)
    moved = side.move(U, push, rule="add", reconstruction="residual", factors=factors)
    before, after = side.codes_turned(U, push, rule="add", factors=factors)
    assert after.min() < 0
    decoded = side.probe.inverse_transform(after) - side.probe.inverse_transform(before)
    np.testing.assert_allclose(moved - U, decoded, atol=1e-4)
    assert moved.dtype == U.dtype == np.float32


def test_add_serves_any_probe_and_any_reconstruction(host, data, model):
    weights = model.selector_.steering_weights_
    subset = {int(n): -float(weights[n]) for n in np.flatnonzero(weights)}
    changed = steer(host, data.X, NeuronSubset(subset), probe=Wrapped())
    # Another probe is trained alike: deviations are those of activations, not before.
    assert changed.probe_.probe_.fvu_ == pytest.approx(model.probe_.fvu_)
    assert np.abs(change(changed, data.X)).max() > 0
    replaced = steer(host, data.X, reconstruction="replace")
    U = host.encode_users(data.X)
    decoded = replaced.probe_.inverse_transform(replaced.probe_.transform(U))
    np.testing.assert_allclose(
        replaced.transform(data.X) - decoded, model.transform(data.X) - U, atol=1e-5
    )


def test_add_takes_probes_whose_activations_may_be_negative(host, data):
    probe = TruncatedSVD(6, random_state=0)
    model = steer(host, data.X, PopularityNeuronSelector(), probe=probe, strength=1.0)
    assert (model.predict(data.X) != host.predict(data.X)).any()
    with pytest.raises(
        ValueError,
        match=r"^`rule` must be 'shift' for a probe whose .* or 'add'; got 'scale'",
    ):
        model.set_params(rule="scale").predict(data.X)


def test_rows_with_a_scale_of_their_own_are_moved_in_it(host, data, log_popularity):
    probe = SparseAutoencoderProbe(
        64, k=8, max_iter=40, standardize_rows=True, random_state=0
    )
    model = steer(host, data.X, probe=probe)
    changes = change(model, data.X)
    correlation = [np.corrcoef(row, -log_popularity)[0, 1] for row in changes]
    np.testing.assert_allclose(
        correlation, np.sqrt(model.selector_.target_r2_), atol=1e-2
    )
    deviations = host.encode_users(data.X).std(axis=1)
    sizes = np.linalg.norm(changes, axis=1) / deviations
    np.testing.assert_allclose(sizes, sizes.mean(), rtol=1e-2)


# Other sides, other hosts, other company


def test_both_sides_at_once_with_a_selector_each(host, data):
    model = steer(
        host, data.X, side="both", rule="scale",
        item_selector=PopularityNeuronSelector(), item_strength=0.5,
    )  # fmt: skip
    assert model.selector_.target_r2_ > 0.85
    assert model.item_selector_.target_r2_ is None
    assert (model.predict(data.X) != host.predict(data.X)).any()


def test_users_that_are_only_looked_up_need_no_profiles(host, data):
    tables = as_recommender(
        ArrayRecommender(host.encode_users(data.X), host.item_embeddings_, fold_in=None)
    )
    ids = np.arange(400)
    model = steer(tables, data.X, fit_params={"user_ids": ids})
    assert model.selector_.target_r2_ > 0.85
    lists = model.predict(data.X, user_ids=ids)
    assert (lists != tables.predict(data.X, user_ids=ids)).any()


def test_several_knobs_each_read_what_they_need(host, data, log_popularity):
    union = NeuronUnion(
        [
            ("popularity", PopularityNeuronSelector("score_omp")),
            ("taste", ConceptNeuronSelector(2)),
            ("published", PopularityNeuronSelector()),
        ],
        strengths={"popularity": -1.0, "taste": 0.0, "published": 0.0},
    )
    joined = steer(
        host, data.X, union, fit_params={"item_features": data.item_concepts}
    )
    reached = joined.selector_.named_selectors_["popularity"].target_r2_
    correlation = np.corrcoef(change(joined, data.X)[0], -log_popularity)[0, 1]
    assert correlation == pytest.approx(np.sqrt(reached), abs=1e-3)


def test_a_search_may_remember_it(host, data, model, tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    for _ in range(2):
        cached = steer(host, data.X, memory=memory)
        np.testing.assert_array_equal(
            cached.selector_.steering_weights_, model.selector_.steering_weights_
        )


# Bad input


def test_a_host_without_inner_products_has_no_score_space(data):
    import torch

    generator = torch.Generator().manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(150, 16), torch.nn.Linear(16, 150))
    for parameter in module.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    host = as_recommender(
        TorchRecommender(
            module,
            encoder=lambda module, rows: module[0](rows),
            decoder=lambda module, U: torch.softmax(module[1](torch.tanh(U)), dim=1),
            n_items=150,
        )
    )
    with pytest.raises(ValueError, match=r"^`selector` must score neurons by what t"):
        steer(host, data.X)


def test_a_probe_without_directions_has_no_score_space(host, data):
    with pytest.raises(ValueError, match=r"^`selector` must score neurons by what t"):
        steer(host, data.X, probe=Wrapped())


@pytest.mark.parametrize("scale", ["own", "opposite"])
def test_there_are_no_groups_to_take_deviations_over(host, data, scale):
    with pytest.raises(ValueError, match=r"^`shift_scale` must be 'real' unless"):
        steer(host, data.X, shift_scale=scale)


def test_items_that_are_all_as_popular_give_no_target(host, data):
    equal = np.full(150, 7)
    with pytest.raises(ValueError, match=r"^`item_target` must differ between items"):
        steer(host, data.X, fit_params={"item_popularity": equal})
