"""Synthetic interactions whose popularity bias and concepts are known."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.utils import Bunch, check_random_state

from skpopsteer.popularity import item_popularity

__all__ = ["make_interactions"]

#: Scores held at a time while users draw their items: 16 MiB of float64.
_BLOCK_ENTRIES = 1 << 21


def make_interactions(
    n_users=1000,
    n_items=500,
    *,
    n_concepts=8,
    mean_interactions=20,
    min_interactions=5,
    popularity_exponent=1.1,
    popularity_strength=0.5,
    concept_strength=4.0,
    dtype=np.float64,
    random_state=None,
) -> Bunch:
    r"""Draw interactions with a long tail and planted concepts.

    Items differ in appeal as ranks do in Zipf's law and belong to one or two concepts.
    Users prefer one to three concepts and have a taste for popularity of their own.
    Everything that was planted is returned, so a method can be held to the answer.

    Parameters
    ----------
    n_users : int, default=1000
        Number of users, at least 1.
    n_items : int, default=500
        Number of items, at least 2.
    n_concepts : int, default=8
        Number of concepts, at least 1.
    mean_interactions : float, default=20
        Expected interactions per user, before no user gets more than half of the
        items; not below `min_interactions`.
    min_interactions : int, default=5
        Fewest interactions of a user (half of the items where that is less). With 0
        a user may have none.
    popularity_exponent : float, default=1.1
        Zipf exponent of the appeal of items, not negative. 0 makes all items equally
        appealing; more makes the tail longer.
    popularity_strength : float, default=0.5
        Standard deviation of the users' taste for popularity around its mean of 1, not
        negative. 0 makes all users alike.
    concept_strength : float, default=4.0
        Gain in log-odds of an item that belongs to all a user prefers, not negative. 0
        makes concepts meaningless.
    dtype : {np.float64, np.float32}, default=np.float64
        Type of the values of `X`.
    random_state : int, RandomState instance or None, default=None
        Seed of the draw. Pass an int for the same result at every call.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        X : csr_array of shape (n_users, n_items)
            Interactions, all 1, with sorted indices.
        item_popularity : ndarray of shape (n_items,), dtype int64
            Interactions per item in `X`.
        item_appeal : ndarray of shape (n_items,)
            Log-odds of an item for a user whose taste is 1 and who prefers none of its
            concepts: ``-popularity_exponent * log(rank)``.
        item_concepts : ndarray of shape (n_items, n_concepts)
            1 where the item belongs to the concept, else 0; one or two a row.
        user_concepts : ndarray of shape (n_users, n_concepts)
            Preference of the user for the concept, at most three non-zero a row; rows
            sum to 1.
        user_popularity_taste : ndarray of shape (n_users,)
            What the appeal of items is multiplied by for the user, not negative.

    See Also
    --------
    load_movielens : Real interactions, with genres and tags.

    Notes
    -----
    User :math:`u` draws items without replacement, item :math:`j` with odds

    .. math:: \exp(t_u a_j + s \sum_c p_{uc} m_{jc})

    of taste :math:`t`, appeal :math:`a`, strength :math:`s`, preference :math:`p` and
    membership :math:`m`. The largest of these log-odds plus Gumbel noise are such a
    draw [1]_. The number of items of a user is `min_interactions` plus a Poisson number
    whose rate differs between users by a gamma law. Time is O(n_users * n_items),
    memory that of the result and of one block of users.

    References
    ----------
    .. [1] W. Kool, H. van Hoof and M. Welling, "Stochastic Beams and Where to Find
       Them: The Gumbel-Top-k Trick for Sampling Sequences Without Replacement", ICML
       2019, arXiv:1903.06059.

    Examples
    --------
    >>> from skpopsteer.datasets import make_interactions
    >>> data = make_interactions(n_users=60, n_items=40, random_state=0)
    >>> data.X.shape
    (60, 40)
    >>> bool((data.item_popularity == data.X.sum(axis=0)).all())
    True
    >>> data.item_concepts.sum(axis=1).max().item()
    2.0
    """
    _require_count("n_users", n_users, 1)
    _require_count("n_items", n_items, 2)
    _require_count("n_concepts", n_concepts, 1)
    _require_count("min_interactions", min_interactions, 0)
    _require_number("mean_interactions", mean_interactions, min_interactions)
    _require_number("popularity_exponent", popularity_exponent, 0)
    _require_number("popularity_strength", popularity_strength, 0)
    _require_number("concept_strength", concept_strength, 0)
    dtype = _require_float_dtype(dtype)
    rng = check_random_state(random_state)
    appeal = -popularity_exponent * np.log(1 + rng.permutation(n_items))
    item_concepts = _draw_item_concepts(rng, n_items, n_concepts)
    user_concepts = _draw_user_concepts(rng, n_users, n_concepts)
    taste = np.maximum(1 + popularity_strength * rng.standard_normal(n_users), 0)
    lengths = _draw_lengths(rng, n_users, n_items, mean_interactions, min_interactions)
    user_factors = np.column_stack([taste, concept_strength * user_concepts])
    item_factors = np.column_stack([appeal, item_concepts])
    X = _draw_items(rng, lengths, user_factors, item_factors, dtype)
    return Bunch(
        X=X,
        item_popularity=item_popularity(X),
        item_appeal=appeal,
        item_concepts=item_concepts,
        user_concepts=user_concepts,
        user_popularity_taste=taste,
    )


def _draw_item_concepts(rng, n_items, n_concepts):
    """Give every item one concept, and about every third a second one."""
    concepts = np.zeros((n_items, n_concepts))
    items = np.arange(n_items)
    first = rng.randint(n_concepts, size=n_items)
    concepts[items, first] = 1
    if n_concepts > 1:
        second = (first + rng.randint(1, n_concepts, size=n_items)) % n_concepts
        both = rng.uniform(size=n_items) < 1 / 3
        concepts[items[both], second[both]] = 1
    return concepts


def _draw_user_concepts(rng, n_users, n_concepts):
    """Spread each user's preference over one to three concepts."""
    most = min(3, n_concepts)
    weights = np.sort(rng.standard_exponential((n_users, most)), axis=1)[:, ::-1]
    n_preferred = rng.randint(1, most + 1, size=n_users)
    weights = weights * (np.arange(most) < n_preferred[:, None])
    order = np.argsort(rng.uniform(size=(n_users, n_concepts)), axis=1)
    concepts = np.zeros((n_users, n_concepts))
    np.put_along_axis(concepts, order[:, :most], weights, axis=1)
    return concepts / concepts.sum(axis=1, keepdims=True)


def _draw_lengths(rng, n_users, n_items, mean_interactions, min_interactions):
    """Draw how many items each user holds; half of the catalogue stays unseen."""
    excess = mean_interactions - min_interactions
    rates = rng.gamma(2.0, excess / 2.0, size=n_users)
    # numpy draws from no higher ones, which are beyond any catalogue anyway.
    rates = np.minimum(rates, 1e18)
    return np.minimum(min_interactions + rng.poisson(rates), n_items // 2)


def _draw_items(rng, lengths, user_factors, item_factors, dtype):
    """Take the items with the largest log-odds plus Gumbel noise, block by block."""
    n_users, n_items = len(lengths), len(item_factors)
    block = max(1, _BLOCK_ENTRIES // n_items)
    drawn = []
    for start in range(0, n_users, block):
        rows = slice(start, min(start + block, n_users))
        most = max(int(lengths[rows].max()), 1)
        scores = user_factors[rows] @ item_factors.T
        scores += rng.gumbel(size=scores.shape)
        top = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        best_first = np.argsort(-np.take_along_axis(scores, top, axis=1), axis=1)
        top = np.take_along_axis(top, best_first, axis=1)
        # A user's surplus goes past the last item, so that sorting puts it at the end.
        kept = np.arange(most) < lengths[rows, None]
        top = np.sort(np.where(kept, top, n_items), axis=1)
        drawn.append(top[top < n_items])
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    # Both index arrays of one type, or scipy would copy them to make them so.
    index_dtype = np.int32 if indptr[-1] <= np.iinfo(np.int32).max else np.int64
    indices = np.concatenate(drawn).astype(index_dtype)
    values = np.ones(len(indices), dtype=dtype)
    parts = (values, indices, indptr.astype(index_dtype))
    return csr_array(parts, shape=(n_users, n_items))


def _require_count(name, count, least):
    if isinstance(count, bool) or not isinstance(count, Integral) or count < least:
        raise ValueError(
            f"`{name}` must be an integer of at least {least}; got {count!r}. "
            "Pass a whole number."
        )


def _require_number(name, number, least):
    real = isinstance(number, Real) and not isinstance(number, bool)
    if not real or not least <= number < np.inf:
        raise ValueError(
            f"`{name}` must be a finite number of at least {least}; got {number!r}. "
            "Pass a larger number, or leave it out."
        )


def _require_float_dtype(dtype):
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found not in (np.float64, np.float32):
        raise ValueError(
            f"`dtype` must be np.float64 or np.float32; got {dtype!r}. "
            "Cast the result for another type."
        )
    return found
