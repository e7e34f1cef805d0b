"""The factor of every form by hand, and what it does to negative scores."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from skpopsteer import as_recommender
from skpopsteer.rerankers import InversePopularityReranker

#: Popularity of four items, the last of which nobody has used.
POPULARITY = np.array([8, 4, 2, 0])
NO_HISTORY = csr_array((1, 4))
FORMS = ["boost", "division", "power"]


def fitted(scores, **params):
    """Rerank one user whose scores are given."""
    scores = np.asarray(scores, dtype=np.float64)
    host = as_recommender((np.ones((1, 1)), scores[:, None]))
    model = InversePopularityReranker(host, **params)
    return model.fit(np.ones((1, len(scores))), item_popularity=POPULARITY)


def scored(*args, **params):
    return fitted(*args, **params).decision_function(NO_HISTORY, user_ids=[0])[0]


@pytest.mark.parametrize(
    ("form", "factors"),
    [
        ("boost", [1, 1.25, 1.375, 1.5]),
        ("division", [1 / 1.5, 1 / 1.25, 1 / 1.125, 1]),
        ("power", [8**-0.5, 4**-0.5, 2**-0.5, 1]),
    ],
)
def test_factors_are_those_of_the_papers_code(form, factors):
    scores = [4.0, 3.0, 2.0, 1.0]
    published = scored(scores, form=form, strength=0.5, from_lowest=False)
    np.testing.assert_allclose(published, np.multiply(scores, factors), rtol=1e-6)
    measured = scored(scores, form=form, strength=0.5)
    expected = 1 + np.multiply(np.subtract(scores, 1), factors)
    np.testing.assert_allclose(measured, expected, rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_negative_scores_rise_with_rarity_too(form):
    """As published the factor pushes what is negative down, and rare items most."""
    scores = [-1.0, -1.0, -1.0, -3.0]
    params = {"form": form, "strength": 1.0}
    assert (np.diff(scored(scores, **params)[:3]) > 0).all()
    published = scored(scores, from_lowest=False, **params)[:3]
    # A division makes small what is negative, and so raises the popular ones.
    assert (np.diff(published) < 0).all()


@pytest.mark.parametrize("form", FORMS)
def test_shifting_all_scores_of_a_host_ranks_nothing_anew(form):
    scores = np.array([4.0, 3.5, 3.0, 1.0])
    params = {"form": form, "strength": 0.7}
    lists = [
        fitted(scores + shift, **params).recommend(NO_HISTORY, 4, user_ids=[0])
        for shift in (0, -10, 50)
    ]
    assert np.array_equal(lists[0], lists[1])
    assert np.array_equal(lists[0], lists[2])
    assert lists[0].tolist() != [[0, 1, 2, 3]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("strength", [0.3, 1.0, 2.0, 15.0])
def test_negative_strengths_are_the_inverse_and_keep_the_sign(form, strength):
    scores = [4.0, 3.0, 2.0, 1.0]
    params = {"form": form, "from_lowest": False}
    up = scored(scores, strength=-strength, **params)
    down = scored(scores, strength=strength, **params)
    assert (up > 0).all()
    np.testing.assert_allclose(up * down, np.square(scores), rtol=1e-5)
    # The most popular first, however far it is turned.
    lists = fitted([1.0, 1.0, 1.0, 1.0], strength=-strength, **params).recommend(
        NO_HISTORY, 4, user_ids=[0]
    )
    assert lists[0, 0] == 0
    assert lists[0, 1] == 1


def test_in_a_pool_scores_are_measured_from_its_lowest():
    scores = [4.0, 3.0, 2.0, -7.0]
    model = fitted(scores, strength=0.5, pool_size=3)
    ids, values = model.recommend(NO_HISTORY, 3, user_ids=[0], return_scores=True)
    # 2 + 2 * 1, 2 + 1 * 1.25, 2 + 0.
    assert ids.tolist() == [[0, 1, 2]]
    assert values.tolist() == [[4, 3.25, 2]]


def test_padding_of_a_pool_is_not_its_lowest():
    """Fewer items are allowed than the pool would hold."""
    scores = [-4.0, -5.0, -6.0, -7.0]
    model = fitted(scores, strength=0.5, pool_size=4)
    ids, values = model.recommend(
        NO_HISTORY, 4, candidates=[0, 1], user_ids=[0], return_scores=True
    )
    # -5 + 1 * 1, -5 + 0: with 0 for the lowest they would be -4 and -6.25.
    assert ids.tolist() == [[0, 1, -1, -1]]
    assert values.tolist() == [[-4, -5, -np.inf, -np.inf]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pool_size", [None, 3])
def test_a_row_without_allowed_items_is_empty(form, pool_size):
    model = fitted([4.0, 3, 2, 1], form=form, pool_size=pool_size)
    ids, values = model.recommend(
        NO_HISTORY, 3, candidates=[], user_ids=[0], return_scores=True
    )
    assert (ids == -1).all()
    assert (values == -np.inf).all()


@pytest.mark.parametrize("form", FORMS)
def test_what_a_host_rules_out_is_not_the_lowest(form):
    model = fitted([4.0, 3, 2, 1], form=form)
    scores = np.array([[3, -np.inf, 1, 2], [-np.inf] * 4], dtype=np.float32)
    alone = np.array([[3, 1, 1, 2]], dtype=np.float32)
    model._rescore(scores, slice(None), 0.5)
    model._rescore(alone, slice(None), 0.5)
    assert scores[0, 1] == -np.inf
    assert np.array_equal(scores[0, [0, 2, 3]], alone[0, [0, 2, 3]])
    assert (scores[1] == -np.inf).all()


def test_nobody_having_used_anything_ranks_nothing_anew():
    host = as_recommender((np.ones((1, 1)), np.array([[4.0], [3], [2], [1]])))
    for form in FORMS:
        model = InversePopularityReranker(host, form=form, strength=2.0)
        model.fit(np.zeros((1, 4)))
        assert model.recommend(NO_HISTORY, 4, user_ids=[0]).tolist() == [[0, 1, 2, 3]]


def test_only_the_published_form_is_exported():
    model = fitted([4.0, 3, 2, 1], strength=0.5)
    for export in (model.export_embeddings, model.to_implicit):
        with pytest.raises(ValueError, match=r"^`from_lowest` must be False to export"):
            export(NO_HISTORY, user_ids=[0])
    model = fitted([4.0, 3, 2, 1], strength=0.5, from_lowest=False)
    vectors = model.export_embeddings(NO_HISTORY, user_ids=[0])
    np.testing.assert_allclose(
        vectors.user_embeddings @ vectors.item_embeddings.T + vectors.item_bias,
        [[4, 3.75, 2.75, 1.5]],
    )
