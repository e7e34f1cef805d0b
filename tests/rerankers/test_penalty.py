"""The penalty against its formula, and its knobs."""

import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD

from skpopsteer import PopularityPenaltyReranker, as_recommender
from skpopsteer.popularity import item_popularity


@pytest.fixture(scope="module")
def host(interactions):
    return as_recommender(TruncatedSVD(8, random_state=0).fit(interactions))


def test_scores_are_the_hosts_less_the_scaled_logarithm(host, interactions):
    model = PopularityPenaltyReranker(host, strength=0.3).fit(interactions)
    popularity = item_popularity(interactions)
    expected = host.decision_function(interactions) - 0.3 * np.log(popularity)
    np.testing.assert_allclose(
        model.decision_function(interactions), expected, atol=1e-5
    )


def test_an_item_nobody_used_counts_like_one_used_once(interactions):
    X = interactions.toarray()
    X[:, 0], X[:, 1] = 0, 0
    X[0, 1] = 1
    host = as_recommender((np.ones((200, 2)), np.ones((100, 2))))
    model = PopularityPenaltyReranker(host, strength=1.0).fit(X)
    scores = model.decision_function(X)
    assert np.isfinite(scores).all()
    assert np.array_equal(scores[:, 0], scores[:, 1])


def test_popularity_falls_with_the_strength(host, interactions):
    model = PopularityPenaltyReranker(host).fit(interactions)
    popularity = item_popularity(interactions)
    values = [
        popularity[model.recommend(interactions, strength=s)].mean()
        for s in (-0.2, 0, 0.1, 0.2, 0.5)
    ]
    assert (np.diff(values) < 0).all()


def test_the_hosts_first_items_stay_and_the_rest_follows_the_penalty(
    host, interactions
):
    model = PopularityPenaltyReranker(host, strength=0.4, keep_top=4).fit(interactions)
    free = PopularityPenaltyReranker(host, strength=0.4).fit(interactions)
    kept, penalised = model.predict(interactions), free.predict(interactions)
    top = host.recommend(interactions)[:, :4]
    assert np.array_equal(kept[:, :4], top)
    for row, head, rest in zip(kept, top, penalised, strict=True):
        expected = [item for item in rest if item not in head][:6]
        assert row[4:].tolist() == expected


def test_a_model_that_is_no_host_is_refused(interactions):
    with pytest.raises(ValueError, match="The 'recommender' parameter"):
        PopularityPenaltyReranker(TruncatedSVD(2)).fit(interactions)
