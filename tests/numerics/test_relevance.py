"""Probabilities, and lists at prices, against the same steps in float64."""

import itertools
import math

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from skpopsteer._pool import Pool, draw_pool
from skpopsteer.steering import RelevanceCalibrator
from skpopsteer.steering._relevance_features import COLUMNS, N_FEATURES
from skpopsteer.steering._relevance_rows import held_out_rows, hits_of, sample_rows
from skpopsteer.steering._slot_prices import Exposure, make_market
from tests.numerics import plain
from tests.numerics.tolerances import assert_near

POOL = 60


class PlainFeatures:
    """The features of a calibrator, in float64 and a user at a time."""

    def __init__(self, host, X, users, popularity):
        self.X, self.log_popularity = X, np.log1p(plain.as_float64(popularity))
        scores = plain.as_float64(users) @ plain.as_float64(host.item_embeddings_).T
        self.mean, deviation = scores.mean(axis=0), scores.std(axis=0)
        self.deviation = np.maximum(deviation, deviation[deviation > 0].min())
        spread = np.log(self.deviation)
        self.p, self.s = (self._scaled(v) for v in (self.log_popularity, spread))
        lengths, tastes = self._of_users(X)
        self.length = np.nanmean(lengths), np.nanstd(lengths)
        self.taste = np.nanmean(tastes), np.nanstd(tastes)

    def _scaled(self, values):
        return (values - values.mean()) / values.std()

    def _by_first(self, scores):
        return (scores - scores[:100].mean()) / scores[:100].std()

    def _of_users(self, X):
        own = [X.indices[a:b] for a, b in itertools.pairwise(X.indptr.tolist())]
        return (
            np.array([math.log(len(items)) for items in own]),
            np.array([self.log_popularity[items].mean() for items in own]),
        )

    def of(self, pool):
        lengths, tastes = self._of_users(pool.X)
        F = np.zeros((*pool.items.shape, N_FEATURES))
        for u, items in enumerate(pool.items):
            m = int((items >= 0).sum())
            scores = plain.as_float64(pool.scores[u, :m])
            z = self._by_first(scores)
            w = self._by_first(
                (scores - self.mean[items[:m]]) / self.deviation[items[:m]]
            )
            r = (np.log(np.arange(1, m + 1)) - 3) / 1.5
            n = (lengths[u] - self.length[0]) / self.length[1]
            t = (tastes[u] - self.taste[0]) / self.taste[1]
            p, s, one = self.p[items[:m]], self.s[items[:m]], np.ones(m)
            columns = [
                r, z, n * one, p, s, t * one, r * p, z * p, z * s, t * p, n * p,
                n * r, s * t, z * z, p * p, r * r, w,
            ]  # fmt: skip
            F[u, :m] = np.stack(columns, axis=-1)
        return F


@pytest.fixture(scope="module")
def known(film_host, films, users):
    X, y = films
    pool = draw_pool(film_host, X, None, POOL)
    popularity = np.diff(X.tocsc().indptr)
    return (
        X,
        held_out_rows(y, X.shape),
        pool,
        PlainFeatures(film_host, X, users, popularity),
    )


@pytest.fixture(scope="module", params=COLUMNS)
def calibrator(film_host, films, request):
    model = RelevanceCalibrator(
        film_host, features=request.param, pool_size=POOL, random_state=0
    )
    return model.fit(*films)


def test_features(calibrator, known):
    _, _, pool, features = known
    got, expected = calibrator._features.of(pool), features.of(pool)
    for column in range(N_FEATURES):
        assert_near(
            "features of a calibrator", got[..., column].T, expected[..., column].T
        )


def test_probabilities_of_the_fitted_classifiers(calibrator, known):
    X, _, pool, features = known
    F = features.of(pool)[..., COLUMNS[calibrator.features_]]
    odds = np.mean(
        [
            F @ plain.as_float64(one.coef_[0]) + float(one.intercept_[0])
            for one in calibrator.estimators_
        ],
        axis=0,
    )
    odds += calibrator._log_rate
    if calibrator.features_ == "host":
        for row in odds:
            for rank in range(1, POOL):
                row[rank] = min(row[rank], row[rank - 1])
        odds -= 1e-5 * np.arange(POOL)
    expected = np.where(pool.items < 0, 0, 1 / (1 + np.exp(-odds)))
    items, got = calibrator.predict_relevance(X)
    np.testing.assert_array_equal(items, pool.items)
    assert_near("probabilities", got, expected)


def test_probabilities_of_classifiers_fitted_in_float64(calibrator, known):
    """The same sample, its features and the optimum in float64."""
    X, y, pool, features = known
    hits = hits_of(pool, y)
    # What `fit` draws, drawn again.
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    rng = np.random.default_rng(seed)
    fold = rng.permutation(X.shape[0]) % 5
    F, hit, weight, user, rate = sample_rows([pool], [hits], features, 6, rng)
    assert F.dtype == np.float64
    columns = list(COLUMNS[calibrator.features_])
    odds = []
    for group in range(5):
        rows = fold[user] != group
        one = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000)
        one.fit(F[rows][:, columns], hit[rows], sample_weight=weight[rows])
        odds.append(features.of(pool)[..., columns] @ one.coef_[0] + one.intercept_[0])
    odds = np.mean(odds, axis=0) + math.log(rate)
    if calibrator.features_ == "host":
        odds = np.minimum.accumulate(odds, axis=1) - 1e-5 * np.arange(POOL)
    expected = expit(odds) * (pool.items >= 0)
    got = calibrator.predict_relevance(X)[1]
    assert_near("probabilities, fitted in float64", got, expected)


def random_pool(seed, n_users=60, m=7, n_items=25):
    rng = np.random.default_rng(seed)
    items = np.array([rng.permutation(n_items)[:m] for _ in range(n_users)])
    items[np.arange(m) >= rng.integers(3, m + 1, n_users)[:, None]] = -1
    relevance = rng.random((n_users, m)) ** 3 * (items >= 0)
    return Pool(items, np.zeros(items.shape), None), relevance, rng


def worth(relevance, weights, discounts, prices, pool, user, listed):
    """Return what a list, of places in the pool, is worth at prices."""
    return math.fsum(
        weights[user] * relevance[user, j] * discount + prices[pool.items[user, j]]
        for j, discount in zip(listed, discounts, strict=False)
    )


@pytest.mark.parametrize("k", [1, 3])
def test_the_best_list_at_prices_is_worth_what_brute_force_finds(k):
    pool, relevance, rng = random_pool(0)
    weights = rng.uniform(0.2, 1, len(relevance))
    prices = rng.random(25) * 0.3
    market = make_market(pool, relevance, weights, 0, k)
    discounts = [1 / math.log2(slot + 2) for slot in range(k)]
    places = market.at_prices(prices)
    found, best = [], []
    for user, chosen in enumerate(places):
        # Places of the market are in the order of probability.
        listed = market.order[user][chosen]
        args = relevance, weights, discounts, prices, pool, user
        n_items = int((pool.items[user] >= 0).sum())
        found.append(worth(*args, listed))
        best.append(
            max(worth(*args, one) for one in itertools.permutations(range(n_items), k))
        )
    assert_near("worth of the best list", np.array(found), np.array(best))


def plain_allocation(pool, relevance, weights, k, exposure, order_of_users, n_passes):
    """Choose all lists in turn, trying every list of every user."""
    discounts = [1 / math.log2(slot + 2) for slot in range(k)]
    counts, lists = [0] * len(exposure.tail), {}
    for _ in range(n_passes):
        for user in next(order_of_users):
            for j in lists.get(user, ()):
                counts[pool.items[user, j]] -= 1
            steps = [
                exposure.scale * (math.log(2 + n) - math.log(1 + n)) + own
                for n, own in zip(counts, exposure.of_tail, strict=True)
            ]
            n_items = int((pool.items[user] >= 0).sum())
            lists[user] = max(
                itertools.permutations(range(n_items), k),
                key=lambda one, user=user, steps=steps: worth(
                    relevance, weights, discounts, steps, pool, user, one
                ),
            )
            for j in lists[user]:
                counts[pool.items[user, j]] += 1
    value = math.fsum(
        weights[user] * relevance[user, j] * discount
        for user, listed in lists.items()
        for j, discount in zip(listed, discounts, strict=True)
    )
    value += math.fsum(exposure.scale * math.log1p(n) for n in counts)
    value += math.fsum(n * own for n, own in zip(counts, exposure.of_tail, strict=True))
    return lists, value


def test_joint_lists_are_those_of_trying_every_list():
    pool, relevance, rng = random_pool(1)
    weights = rng.uniform(0.2, 1, len(relevance))
    tail = (np.arange(25) > 12).astype(float)
    exposure = Exposure(0.05, 0.2, tail, 1, 3)
    market = make_market(pool, relevance, weights, 0, 3)
    places, counts = market.allocate(exposure, np.random.default_rng(2), 2)
    rng = np.random.default_rng(2)
    orders = (rng.permutation(len(relevance)) for _ in range(2))
    lists, value = plain_allocation(
        pool, relevance, weights, 3, exposure, orders, n_passes=2
    )
    got = np.take_along_axis(market.order, places, axis=1)
    assert [tuple(listed) for listed in got] == [lists[u] for u in range(len(got))]
    found = market.value(places, counts, exposure)
    assert_near("worth of joint lists", [found], np.array([value]))
