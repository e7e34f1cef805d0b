"""Probabilities against what happens, and what rests on them."""

import warnings

import joblib
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skpopsteer import (
    PopularityPenaltyReranker,
    RelevanceCalibrator,
    _spans,
    as_recommender,
)
from skpopsteer._pool import draw_pool
from skpopsteer.datasets import make_interactions
from skpopsteer.metrics import ndcg
from skpopsteer.model_selection import HeldOut, hide_interactions
from skpopsteer.steering._relevance_calibrator import _BINS, _reliability
from skpopsteer.steering._relevance_features import COLUMNS, N_FEATURES
from skpopsteer.steering._relevance_rows import draw_pools, hits_of, sample_rows


@pytest.fixture(scope="module")
def data():
    X = make_interactions(600, 200, random_state=0).X
    return hide_interactions(X, random_state=0)


@pytest.fixture(scope="module")
def host(data):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(data[0]))


@pytest.fixture(scope="module")
def model(host, data):
    return RelevanceCalibrator(host, pool_size=60, random_state=0).fit(*data)


def test_probabilities_are_as_often_right_as_they_say(model):
    predicted, observed = model.reliability_.predicted, model.reliability_.observed
    assert len(predicted) >= 8
    # A bin holds about a tenth of the hits: its share is known to about 10 %.
    error = np.abs(observed - predicted) / np.sqrt(predicted / model.reliability_.count)
    assert np.mean(error) < 2
    assert (np.diff(predicted) > 0).all()
    assert model.brier_score_ < 0.98 * model.brier_reference_
    total = model.reliability_.count @ observed
    assert total == pytest.approx(model.n_hits_)


def test_new_users_get_probabilities_that_hold(host):
    X = make_interactions(600, 200, random_state=0).X
    seen, y = hide_interactions(X, random_state=0)
    model = RelevanceCalibrator(host, pool_size=60, random_state=0)
    model.fit(seen[:400], y[:400])
    items, p = model.predict_relevance(seen[400:])
    hits = np.take_along_axis(y[400:].toarray() > 0, items, axis=1)
    assert p.sum() == pytest.approx(hits.sum(), rel=0.15)


def test_lists_are_the_pool_by_probability(model, host, data):
    X = data[0]
    items, p = model.predict_relevance(X)
    assert np.array_equal(items, host.recommend(X, 60))
    order = np.argsort(-p, axis=1, kind="stable")[:, :10]
    ids, scores = model.recommend(X, return_scores=True)
    assert np.array_equal(ids, np.take_along_axis(items, order, axis=1))
    np.testing.assert_allclose(scores, np.take_along_axis(p, order, axis=1), rtol=1e-6)


def test_lists_are_as_accurate_as_the_hosts_or_more(model, host, data):
    X, y = data
    assert ndcg(y, model.recommend(X)) > 0.99 * ndcg(y, host.recommend(X))


def test_the_features_are_those_with_the_more_accurate_lists(host, data):
    X, y = data
    kept = {}
    for name in ("all", "host"):
        model = RelevanceCalibrator(host, features=name, pool_size=60, random_state=0)
        pools, p = model._fit_pools(X, y, None)
        assert model.features_ == name
        kept[name] = model._accuracy(pools, p, y)
    auto = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X, y)
    assert auto.features_ == max(kept, key=kept.get)


def test_features_of_the_host_keep_its_order(host, data):
    X, y = data
    model = RelevanceCalibrator(host, features="host", pool_size=60, random_state=0)
    lists, own = model.fit(X, y).recommend(X), host.recommend(X)
    assert np.array_equal(lists, own)
    assert model.brier_score_ < model.brier_reference_


def test_features_of_the_item_tell_the_tail_apart(host, data):
    X, y = data
    model = RelevanceCalibrator(host, features="item", pool_size=60, random_state=0)
    pools, _ = model.fit(X, y)._fit_pools(X, y, None)
    # Six columns: r, z, n, nr, p and w of the formula.
    assert [one.coef_.shape for one in model.estimators_] == [(1, 6)] * 5
    columns = COLUMNS["item"]
    assert columns == (0, 1, 2, 11, 3, 16)
    F = model._features.of(pools[0])[..., columns]
    odds = np.mean([F @ one.coef_[0] + one.intercept_ for one in model.estimators_], 0)
    expected = 1 / (1 + np.exp(-odds - model._log_rate)) * (pools[0].items >= 0)
    found = model.predict_relevance(X)[1][: len(expected)]
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    own, lists = host.recommend(X), model.recommend(X)
    assert not np.array_equal(lists, own)


def test_a_new_item_has_the_score_that_is_usual(host, data):
    model = RelevanceCalibrator(host, features="item", pool_size=60, random_state=0)
    features = model.fit(*data)._features
    for old, new in zip(features.usual, features.with_new_items(2).usual, strict=True):
        np.testing.assert_array_equal(new[:-2], old)
        np.testing.assert_allclose(new[-2:], old.mean(), rtol=1e-6)


def test_the_score_may_be_a_logit(model, data):
    other = clone(model).set_params(output="logit").fit(*data)
    ids, logits = other.recommend(data[0], return_scores=True)
    same, p = model.recommend(data[0], return_scores=True)
    assert np.array_equal(ids, same)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), p, rtol=1e-4)


def test_the_features_are_those_of_the_formula(model, data):
    X = data[0]
    drawn = draw_pool(model.recommender_, X[:5], None, 60)
    F = model._features.of(drawn)
    assert F.shape == (5, 60, N_FEATURES)
    popularity = np.log1p(np.bincount(X.indices, minlength=200))
    p = (popularity - popularity.mean()) / popularity.std()
    r = (np.log(np.arange(1, 61)) - 3) / 1.5
    scores = drawn.scores[2].astype(float)
    z = (scores - scores.mean()) / scores.std()
    items = drawn.items[2]
    U = model.recommender_.encode_users(X)
    S = (U @ model.recommender_.item_embeddings_.T).astype(float)
    s = np.log(S.std(axis=0))
    s = (s - s.mean()) / s.std()
    w = (scores - S.mean(axis=0)[items]) / S.std(axis=0)[items]
    w = (w - w.mean()) / w.std()
    lengths = np.log(np.diff(X.indptr))
    n = (lengths[2] - lengths.mean()) / lengths.std()
    taste = np.array([popularity[X[[u]].indices].mean() for u in range(X.shape[0])])
    t = (taste[2] - taste.mean()) / taste.std()
    p, s = p[items], s[items]
    one = np.ones(60)
    expected = np.column_stack(
        [r, z, n * one, p, s, t * one, r * p, z * p, z * s, t * p, n * p, n * r,
         s * t, z * z, p * p, r * r, w]
    )  # fmt: skip
    np.testing.assert_allclose(F[2], expected, rtol=2e-3, atol=2e-3)


def test_items_without_a_hit_are_sampled_at_the_rate_that_is_told(model, host, data):
    pools = draw_pools(host, data[0], None, 60)
    hits = [hits_of(pool, csr_array(data[1])) for pool in pools]
    n_hits = sum(hit.sum() for hit in hits)
    rng = np.random.default_rng(0)
    F, hit, weight, user, rate = sample_rows(pools, hits, model._features, 6, rng)
    assert hit.sum() == n_hits
    assert len(F) - n_hits == pytest.approx(6 * n_hits, rel=0.1)
    assert rate == pytest.approx(6 * n_hits / (600 * 60 - n_hits))
    assert weight.max() <= 1 / 11
    assert user.max() < 600


def test_the_rows_of_a_fold_do_not_reach_its_own_probabilities(host, data):
    X, y = data
    model = RelevanceCalibrator(host, pool_size=60, cv=3, random_state=0)
    _, found = model._fit_pools(X, y, None)
    rng = np.random.default_rng(
        np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    )
    fold = rng.permutation(600) % 3
    F = model._features.of(draw_pool(host, X, None, 60))
    F = F[..., COLUMNS[model.features_]]
    for group, estimator in enumerate(model.estimators_):
        rows = np.flatnonzero(fold == group)[:3]
        odds = model._log_odds(F[rows].reshape(-1, F.shape[-1]), estimator)
        if model.features_ == "host":
            odds = model._in_order(odds.reshape(len(rows), -1)).ravel()
        np.testing.assert_allclose(
            found[0][rows].ravel(), 1 / (1 + np.exp(-odds)), rtol=1e-5
        )


def test_a_classifier_of_the_users_own(host, data):
    model = RelevanceCalibrator(
        host,
        estimator=HistGradientBoostingClassifier(max_iter=20, random_state=0),
        pool_size=60,
        random_state=0,
    ).fit(*data)
    assert model.brier_score_ < model.brier_reference_


def test_two_hundred_users_are_enough(host):
    X = make_interactions(600, 200, random_state=0).X[:200]
    seen, y = hide_interactions(X, random_state=0)
    model = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(seen, y)
    assert model.brier_score_ < model.brier_reference_
    assert ndcg(y, model.recommend(seen)) > 0.95 * ndcg(y, host.recommend(seen))


def test_any_reranker_may_work_on_probabilities(model, data):
    X = data[0]
    host = FrozenEstimator(model)
    penalty = PopularityPenaltyReranker(host, pool_size=60, strength=0.0).fit(X)
    assert np.array_equal(penalty.recommend(X), model.recommend(X))
    popularity = penalty.item_popularity_
    lists = penalty.recommend(X, strength=0.05)
    assert popularity[lists].mean() < popularity[model.recommend(X)].mean()


def test_held_out_items_come_in_every_form(host, data):
    X, y = data
    fits = [
        RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X, form)
        for form in (y, HeldOut(y), y.tocsc(), y.astype(np.int64) * 3)
    ]
    for other in fits[1:]:
        np.testing.assert_allclose(other.brier_score_, fits[0].brier_score_)
    one = np.full(600, -1)
    one[::2] = [y[[u]].indices[0] for u in range(0, 600, 2)]
    loo = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X, one)
    assert loo.held_out_ratio_ == 300 / X.nnz


def test_nothing_is_changed(host, data):
    X, y = (part.copy() for part in data)
    RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X, y)
    for part, before in zip((X, y), data, strict=True):
        np.testing.assert_array_equal(part.toarray(), before.toarray())


def test_rows_may_be_spread_over_workers(model, data, monkeypatch):
    monkeypatch.setattr("skpopsteer._spans.SPAN_ROWS", 128)
    alone = model.recommend(data[0], return_scores=True)
    items, p = model.predict_relevance(data[0])
    with joblib.parallel_config("threading", n_jobs=2):
        spread = model.recommend(data[0], return_scores=True)
        items2, p2 = model.predict_relevance(data[0])
    for one, other in zip((*alone, items, p), (*spread, items2, p2), strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_hits_the_hosts_order_is_kept_with_a_warning(host, data):
    X, _ = data
    none = csr_array(X.shape)
    with pytest.warns(UserWarning, match=r"`y` must have hits .* got 0"):
        model = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X, none)
    assert np.array_equal(model.recommend(X), host.recommend(X))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, r"requires y to be passed"),
        (csr_array((600, 199)), r"shape of `X` \(600, 200\).*got shape \(600, 199\)"),
        (np.zeros(599), r"got shape \(599,\)"),
    ],
)
def test_bad_held_out_items_are_refused(host, data, y, message):
    with pytest.raises(ValueError, match=message):
        RelevanceCalibrator(host).fit(data[0], y)


def test_scores_of_the_whole_catalogue_are_not_there(model):
    assert not hasattr(model, "decision_function")


def test_empty_histories_and_short_pools_are_calibrated(host, data):
    X = data[0][:8].toarray()
    X[0] = 0
    X[1, :195] = 1
    model = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(*data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ids, p = model.recommend(X, return_scores=True)
    assert np.isfinite(p[0]).all()
    n_left = int((X[1] == 0).sum())
    assert (ids[1] >= 0).sum() == min(10, n_left)


def test_users_are_looked_up_in_fit_and_after(data):
    X, y = data
    rng = np.random.default_rng(0)
    # What users hold tells nothing of their vectors: a fold-in gives other pools.
    tables = as_recommender(tuple(rng.normal(size=(n, 8)) for n in X.shape))
    ids = rng.permutation(X.shape[0])
    assert not np.array_equal(
        tables.recommend(X, 60), tables.recommend(X, 60, user_ids=ids)
    )
    pools = tables.recommend(X, 60, user_ids=ids)
    model = RelevanceCalibrator(tables, pool_size=60, random_state=0)
    model.fit(X, y, user_ids=ids)
    assert model.n_hits_ == np.take_along_axis(y.toarray() > 0, pools, axis=1).sum()
    items, _ = model.predict_relevance(X, user_ids=ids)
    np.testing.assert_array_equal(items, pools)
    lists = model.recommend(X, user_ids=ids)
    assert (lists[:, :, None] == pools[:, None, :]).any(axis=2).all()


def test_lists_that_run_out_are_padded(model, data):
    lists = model.recommend(data[0][:3], candidates=[0, 1, 2])
    assert (lists[:, 3:] == -1).all()
    assert ((lists >= 0).sum(axis=1) <= 3).all()


def test_bins_hold_equal_shares_of_the_expected_hits():
    p = np.full(1000, 0.5)
    found = _reliability(p, np.arange(1000) % 2 == 0)
    assert found.count.tolist() == [1000 // _BINS] * _BINS
    assert found.predicted.tolist() == found.observed.tolist() == [0.5] * _BINS


class Weighed(LogisticRegression):
    """A classifier that tells what its rows weighed."""

    def fit(self, X, y, sample_weight=None):
        self.weight_ = sample_weight
        return super().fit(X, y, sample_weight)


def test_rows_weigh_by_their_rank_in_the_pool(host, data):
    model = RelevanceCalibrator(
        host, estimator=Weighed(), pool_size=60, random_state=0
    ).fit(*data)
    for estimator in model.estimators_:
        weight = estimator.weight_
        assert weight.max() <= 1
        assert len(np.unique(weight)) == 60


def test_pools_of_several_spans_are_one(model, host, data, monkeypatch):
    monkeypatch.setattr(_spans, "SPAN_ROWS", 150)
    parts = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(*data)
    assert len(draw_pools(host, data[0], None, 60)) == 4
    assert parts.n_hits_ == model.n_hits_
    assert parts.brier_score_ == pytest.approx(model.brier_score_, rel=0.01)


def test_few_users_are_warned_of(host, data):
    X, y = data
    with pytest.warns(UserWarning, match=r"^`y` must have hits to learn from, held-ou"):
        RelevanceCalibrator(host, pool_size=60, random_state=0).fit(X[:50], y[:50])


def test_scores_of_items_are_described_and_new_ones_are_usual(host, data):
    model = RelevanceCalibrator(host, pool_size=60, random_state=0).fit(*data)
    features = model._features
    assert np.ptp(features.spread) > 1
    grown = features.with_new_items(2)
    np.testing.assert_array_equal(grown.spread, [*features.spread, 0, 0])
