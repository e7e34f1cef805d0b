"""What rules that choose lists for many users together have in common."""

import numpy as np
import pytest
from scipy.sparse import csr_array, vstack

from skpopsteer._validation import _items
from skpopsteer.rerankers import MaxMinExposureReranker, PersonalTargetReranker
from tests.rerankers.plain_lists import IDS, N_ITEMS, random_case

RULES = {
    "targets": (PersonalTargetReranker, {"target_tail_share": 0.9}),
    "max-min": (MaxMinExposureReranker, {"random_state": 0}),
    "capped": (MaxMinExposureReranker, {"random_state": 0, "capped": True}),
}


@pytest.fixture(params=RULES)
def make(request):
    rule, own = RULES[request.param]
    return lambda host, **params: rule(host, **{**own, **params})


@pytest.fixture(scope="module")
def case():
    return random_case(0)


def test_strength_zero_gives_the_lists_of_the_host(make, case):
    X, host = case
    model = make(host).fit(X, user_ids=IDS)
    own = host.recommend(X, 5, user_ids=IDS)
    assert np.array_equal(model.allocate(X, 5, strength=0, user_ids=IDS), own)
    changed = model.allocate(X, 5, strength=0.8, user_ids=IDS)
    assert changed.shape == own.shape
    assert changed.dtype == np.int64
    assert (changed != own).any()


def test_lists_hold_what_is_allowed_and_nothing_twice(make, case):
    X, host = case
    model = make(host, pool_size=8, strength=0.8).fit(X, user_ids=IDS)
    seen = X.toarray() > 0
    one_each = [[user % N_ITEMS] for user in IDS]
    lists = model.allocate(
        X, 6, user_ids=IDS, exclude=one_each, candidates=np.arange(4, 20)
    )
    pools = host.recommend(
        X, 8, user_ids=IDS, exclude=one_each, candidates=np.arange(4, 20)
    )
    for user, (row, pool) in enumerate(zip(lists, pools, strict=True)):
        filled = row[row >= 0].tolist()
        assert len(set(filled)) == len(filled)
        assert set(filled) <= set(pool.tolist())
        assert not seen[user, filled].any()
        # Padding stands at the end, and only where the pool has run out.
        n_filled = min((pool >= 0).sum(), 6)
        assert (row[:n_filled] >= 0).all()
        assert (row[n_filled:] == -1).all()
    again = model.allocate(X, 6, user_ids=IDS, exclude_seen=False)
    assert seen[IDS[:, None], again].any()


def test_the_hosts_first_items_stay(make, case):
    X, host = case
    model = make(host, keep_top=2, strength=0.8).fit(X, user_ids=IDS)
    lists = model.allocate(X, 5, user_ids=IDS)
    own = host.recommend(X, 5, user_ids=IDS)
    assert np.array_equal(lists[:, :2], own[:, :2])
    assert (lists != own).any()


def test_a_user_whose_factor_is_zero_keeps_the_hosts_list(case):
    X, host = case
    spared = np.arange(len(IDS)) % 2 == 0
    own = host.recommend(X, 5, user_ids=IDS)
    for rule in (PersonalTargetReranker, MaxMinExposureReranker):
        model = rule(host, strength=0.8, user_strength=lambda X: 1.0 - spared)
        lists = model.fit(X, user_ids=IDS).allocate(X, 5, user_ids=IDS)
        assert np.array_equal(lists[spared], own[spared])
        assert (lists[~spared] != own[~spared]).any()


def test_more_rows_than_a_span(make, case):
    X, host = case
    many, ids = vstack([X] * 40, format="csr"), np.tile(IDS, 40)
    model = make(host, strength=0.8).fit(many, user_ids=ids)
    # A mask of one row each is cut like the rows.
    exclude = csr_array((np.ones(len(ids)), (np.arange(len(ids)), ids % N_ITEMS)))
    lists = model.allocate(many, 5, user_ids=ids, exclude=exclude)
    assert lists.shape == (1200, 5)
    assert not (lists == (ids % N_ITEMS)[:, None]).any()


def test_nobody_and_nothing(make, case):
    X, host = case
    model = make(host, strength=0.8).fit(X, user_ids=IDS)
    everything = csr_array(np.ones((2, N_ITEMS)))
    assert (model.allocate(everything, 3, user_ids=[0, 1]) == -1).all()
    alone = model.allocate(X[[4]], 3, user_ids=[4])
    assert alone.shape == (1, 3)
    idle = make(host, strength=0.8).fit(csr_array(np.ones((2, N_ITEMS))))
    assert idle.recommend(X, user_ids=IDS).shape == (len(IDS), 10)


def test_lists_may_be_as_long_as_the_catalogue(make, case, monkeypatch):
    X, host = case
    monkeypatch.setattr(_items, "_LONGEST", 3)
    model = make(host, strength=0.8, n_recommendations=N_ITEMS).fit(X, user_ids=IDS)
    assert model.allocate(X, user_ids=IDS).shape == (len(IDS), N_ITEMS)
    with pytest.raises(ValueError, match=f"must be at most {N_ITEMS}; got"):
        model.allocate(X, N_ITEMS + 1, user_ids=IDS)


def test_bad_input(make, case):
    X, host = case
    model = make(host)
    with pytest.raises(ValueError, match="not fitted"):
        model.allocate(X)
    model.fit(X, user_ids=IDS)
    with pytest.raises(ValueError, match=r"^`strength` must be >= 0 for"):
        model.allocate(X, strength=-1)
    with pytest.raises(ValueError, match=r"^`n_recommendations` must be an integer"):
        model.allocate(X, 0)
    with pytest.raises(ValueError, match=r"^`exclude` must hold item positions"):
        model.allocate(X, exclude=[N_ITEMS])
    with pytest.raises(ValueError, match=r"^`candidates` must hold item positions"):
        model.allocate(X, candidates=[N_ITEMS])
    with pytest.raises(ValueError, match=r"^`user_ids` must name one user per row"):
        model.allocate(X, user_ids=[0])
