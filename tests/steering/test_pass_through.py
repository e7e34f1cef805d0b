"""A probe that loses the host's accuracy by itself is named, where y tells."""

import numpy as np
import pytest

from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
from skpopsteer.model_selection import HeldOut

LINE = (
    r"^`probe` must keep 95 % of the host's NDCG when nothing is turned; got [\d.]+ % "
    r"\(0\.\d+ of 0\.\d+\)\. Train it longer, or raise its n_neurons or k\.$"
)


def model(host, k, max_iter, **params):
    probe = SparseAutoencoderProbe(64, k=k, max_iter=max_iter, random_state=0)
    return SteeredRecommender(
        host, probe=probe, random_state=0, **({"rule": "shift"} | params)
    )


@pytest.mark.parametrize("side", ["user", "item", "both"])
def test_a_poor_probe_is_named(host, split, side):
    X, y = split
    for held_out in (y, HeldOut(y)):
        with pytest.warns(UserWarning, match=LINE):
            model(host, 1, 1, side=side).fit(X, held_out)


def test_it_is_named_where_trained_vectors_are_used(host, split):
    X, y = split
    from skpopsteer import as_recommender

    tables = as_recommender((host.transform(X), host.item_embeddings_))
    with pytest.warns(UserWarning, match=LINE):
        model(tables, 1, 1).fit(X, y, user_ids=np.arange(200))


def test_a_good_probe_is_not(host, split, recwarn):
    X, y = split
    model(host, 8, 100).fit(X, y)
    assert not [w for w in recwarn if "`probe` must keep" in str(w.message)]


@pytest.mark.parametrize("y", [None, np.arange(200), np.ones((200, 100)), "labels"])
def test_what_is_no_held_out_matrix_is_not_looked_at(host, split, recwarn, y):
    X, _ = split
    model(host, 1, 1).fit(X, y)
    model(host, 1, 1).fit(X, split[1][:100])
    assert not [w for w in recwarn if "`probe` must keep" in str(w.message)]


def test_the_model_is_left_as_it_was(host, split):
    X, y = split
    with pytest.warns(UserWarning, match=LINE):
        fitted = model(host, 1, 1, keep_top=2).fit(X, y)
    assert fitted.reconstruction == "residual"
    assert fitted.keep_top == 2
