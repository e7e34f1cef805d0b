"""What an item is called, and where its column stands, changes nothing."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import metrics

N_USERS, N_ITEMS = 12, 9


@pytest.fixture(params=range(3))
def case(request):
    """Lists of up to four of nine items, and what metrics want to know of them."""
    rng = np.random.default_rng(request.param)
    lists = np.array([rng.permutation(N_ITEMS)[:4] for _ in range(N_USERS)])
    lists[np.arange(4) >= rng.integers(0, 5, N_USERS)[:, None]] = -1
    # Item 0 alone, once in a list that is full up to there.
    lists[0] = [0, -1, -1, -1]
    groups = rng.permutation([-1, -1, -1, -1, 0, 0, 1, 1, 1])
    groups[0] = -1
    held = rng.random((N_USERS, N_ITEMS)) < 0.3
    seen = (rng.random((N_USERS, N_ITEMS)) < 0.4) & ~held
    return lists, groups, rng.integers(0, 12, N_ITEMS), held, seen


def measured(lists, groups, popularity, held, seen):
    y, X = csr_array(held.astype(float)), csr_array(seen.astype(float))
    found = {}
    for name in ("ndcg", "recall", "precision", "hit_rate", "mrr"):
        found[name] = getattr(metrics, name)(y, lists, per_user=True)
    found["map"] = metrics.mean_average_precision(y, lists, per_user=True)
    for name in ("gini", "coverage", "entropy"):
        found[name] = getattr(metrics, name)(lists, N_ITEMS)
    found["arp"] = metrics.average_popularity(lists, popularity, per_user=True)
    found["novelty"] = metrics.novelty(lists, popularity, N_USERS, per_user=True)
    for name in ("tail_share", "average_tail_items"):
        found[name] = getattr(metrics, name)(lists, groups, per_user=True)
    found["tail_coverage"] = metrics.tail_coverage(lists, groups)
    found["lift"] = metrics.popularity_lift(X, lists, popularity + 1, per_user=True)
    found["upd"] = metrics.user_popularity_deviation(X, lists, groups, per_user=True)
    found["poprsp"] = metrics.poprsp(lists, groups, X=X)
    found["popreo"] = metrics.popreo(y, lists, groups, X=X)
    return found


def test_names_of_items_do_not_matter(case):
    lists, groups, popularity, held, seen = case
    expected = measured(*case)
    last_first = np.where(lists < 0, -1, N_ITEMS - 1 - lists)
    turned = measured(
        last_first, groups[::-1], popularity[::-1], held[:, ::-1], seen[:, ::-1]
    )
    for name, values in turned.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, err_msg=name)


def test_the_order_of_users_does_not_matter(case):
    lists, groups, popularity, held, seen = case
    expected = measured(*case)
    turned = measured(lists[::-1], groups, popularity, held[::-1], seen[::-1])
    for name, values in turned.items():
        values = values[::-1] if np.ndim(values) else values
        np.testing.assert_allclose(values, expected[name], rtol=1e-12, err_msg=name)


def test_a_list_of_the_first_item_alone_holds_one_tail_item():
    groups, lists = [-1, 0, 1], [[0, -1], [2, -1], [-1, -1]]
    found = metrics.average_tail_items(lists, groups, per_user=True)
    np.testing.assert_array_equal(found, [1, 0, np.nan])
    found = metrics.tail_share(lists, groups, per_user=True)
    np.testing.assert_array_equal(found, [1, 0, np.nan])
