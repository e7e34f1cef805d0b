"""How well every neuron stands for a concept: one score function a kind of evidence.

A score function is prepared once with activations `Z` (n_rows, n_neurons) and concepts
`T` (n_rows, n_concepts), both CSR, and then scores some concepts at a time:
``prepare(Z, T, item_profiles)(columns)`` has the shape (len(columns), n_neurons).
"""

import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.stats import t as student_t

from skpopsteer.neurons._concept_activity import concept_activity, neuron_tfidf

__all__ = [
    "ON_WEIGHTS",
    "SCORE_FUNCTIONS",
    "best_neurons",
    "correlation_p_values",
    "fire_often_enough",
    "members_of",
    "prepare_scores",
    "score_with",
]

#: Entries of item profiles held at once.
_BLOCK_ENTRIES = 2**22


def prepare_scores(score_func, Z, T, *, rows, item_profiles=None):
    """Prepare a score function for some rows.

    Parameters
    ----------
    score_func : str or callable
        A key of `SCORE_FUNCTIONS`, or ``score_func(Z, y)`` for one concept.
    Z : ndarray or csr_array of shape (n_rows, n_neurons)
        Without duplicates.
    T : csr_array of shape (n_rows, n_concepts)
        Without duplicates.
    rows : {"items", "users"}
    item_profiles : array-like of shape (n_neurons, n_items), default=None

    Returns
    -------
    callable
        ``score(columns)`` returns an ndarray (len(columns), n_neurons), 0 where the
        score is undefined.
    """
    if callable(score_func):
        members = members_of(T, rows)
        return lambda columns: np.array(
            [score_with(score_func, Z, members, column)[0] for column in columns]
        )
    if score_func not in ON_WEIGHTS:
        T = members_of(T, rows)
    if score_func == "output_precision":
        _check_item_profiles(item_profiles, (Z.shape[1], T.shape[0]))
    prepare = SCORE_FUNCTIONS[score_func]
    return prepare(csr_array(Z), T, item_profiles)


def members_of(T, rows):
    """Return 1 for every item that has a concept; shares of users as they are."""
    return T if rows == "users" else _binary(T)


def score_with(score_func, Z, members, column):
    """Return scores and p-values, or None, that a callable gives for one concept."""
    result = score_func(Z, members[:, [column]].toarray().ravel())
    scores, p_values = result if isinstance(result, tuple) else (result, None)
    scores = np.array(scores, dtype=np.float64)
    if scores.shape != (Z.shape[1],):
        raise ValueError(
            f"`score_func` must return one score per neuron ({Z.shape[1]}); got shape "
            f"{scores.shape}. Return scores, or (scores, p_values)."
        )
    if p_values is not None:
        p_values = np.array(p_values, dtype=np.float64)
        # Functions such as f_classif give NaN for a neuron that never varies.
        p_values[np.isnan(scores) | np.isnan(p_values)] = 1.0
    return np.nan_to_num(scores, nan=0.0), p_values


def fire_often_enough(Z, T, min_support):
    """Tell which neurons fire on so many rows of a concept, or on all it has.

    Parameters
    ----------
    Z : csr_array of shape (n_rows, n_neurons)
    T : csr_array of shape (n_rows, n_concepts)
    min_support : int

    Returns
    -------
    callable
        ``enough(columns)`` returns an ndarray (len(columns), n_neurons) of bool.
    """
    fires, by_concept = _binary(Z), _binary(T).T.tocsr()

    def enough(columns):
        members = by_concept[columns]
        # No concept has more rows than there are, whatever the integer asked for.
        most = min(min_support, Z.shape[0])
        needed = np.minimum(most, members.sum(axis=1))[:, None]
        support = (members @ fires).toarray()
        return (support >= needed) & (support > 0)

    return enough


def best_neurons(scores, enough, n_neurons):
    """Return the neurons with the highest scores, best first, ties by number.

    Neurons without a positive score are left out, unless there are no others: one that
    fires less for a concept is no knob.

    Parameters
    ----------
    scores : ndarray of shape (n_concepts, n_neurons)
    enough : ndarray of the same shape, dtype bool
        Neurons that may be chosen.
    n_neurons : int
        How many.

    Returns
    -------
    ndarray of shape (n_concepts, min(n_neurons, all there are)), dtype int64
        Padded with -1.
    """
    positive = enough & (scores > 0)
    eligible = np.where(positive.any(axis=1, keepdims=True), positive, enough)
    ranked = np.argsort(-np.where(eligible, scores, -np.inf), axis=1, kind="stable")
    ranked = ranked[:, :n_neurons]
    return np.where(np.take_along_axis(eligible, ranked, axis=1), ranked, -1)


def _check_item_profiles(item_profiles, shape):
    got = getattr(item_profiles, "shape", None)
    if got is None or tuple(got) != shape:
        raise ValueError(
            "`item_profiles` must have one row per neuron and one column per item, "
            f"{shape}; got {'none' if item_profiles is None else got}. Pass "
            "probe.decoder_weights_ @ host.item_embeddings_.T."
        )


def _prepare_tfidf(direction):
    def prepare(Z, T, item_profiles):
        weighted = neuron_tfidf(concept_activity(Z, T), direction=direction)
        return lambda columns: weighted[columns].toarray()

    return prepare


def _prepare_correlation(Z, T, item_profiles):
    n_rows = Z.shape[0]
    (z_mean, z_std), (t_mean, t_std) = _moments(Z), _moments(T)
    by_concept = T.T.tocsr()

    def score(columns):
        joint = (by_concept[columns] @ Z).toarray() / n_rows
        scale = np.outer(t_std[columns], z_std)
        covariance = joint - np.outer(t_mean[columns], z_mean)
        scores = np.zeros_like(scale)
        np.divide(covariance, scale, out=scores, where=scale > 0)
        return scores.clip(-1, 1)

    return score


def _moments(table):
    """Mean and standard deviation (ddof 0) of every column; 0 where it is constant."""
    n_rows, n_columns = table.shape
    values = table.data.astype(np.float64)
    mean = np.bincount(table.indices, values, minlength=n_columns) / n_rows
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.bincount(
            table.indices, (values - mean[table.indices]) ** 2, minlength=n_columns
        )
        n_zeros = n_rows - np.bincount(table.indices, minlength=n_columns)
        deviation = np.sqrt((squares + n_zeros * mean**2) / n_rows)
    if not np.isfinite(deviation).all():
        raise ValueError(
            "`Z` must hold numbers whose squares are finite; got some beyond 1e150. "
            "Look at the training of the probe."
        )
    # What is left of a constant column by rounding is no variation.
    return mean, np.where(deviation > 1e-8 * np.abs(mean), deviation, 0.0)


def correlation_p_values(scores, n_rows):
    """Return two-sided p-values of correlations over `n_rows` rows, by the t test."""
    if n_rows < 3:
        return np.ones_like(scores)
    with np.errstate(divide="ignore"):
        t = scores * np.sqrt((n_rows - 2) / (1 - scores**2))
    return 2 * student_t.sf(np.abs(t), n_rows - 2)


def _binary(table):
    return csr_array(
        ((table.data > 0).astype(np.float64), table.indices, table.indptr),
        shape=table.shape,
    )


def _prepare_firing(measure):
    def prepare(Z, T, item_profiles):
        fires = _binary(Z)
        by_concept = T.T.tocsr()
        n_fires, n_members = fires.sum(axis=0), by_concept.sum(axis=1)

        def score(columns):
            both = (by_concept[columns] @ fires).toarray()
            against = measure(n_fires[None, :], n_members[columns][:, None])
            against = np.broadcast_to(against, both.shape)
            return np.divide(both, against, out=np.zeros_like(both), where=against > 0)

        return score

    return prepare


def _prepare_output_precision(Z, T, item_profiles):
    n_neurons, n_items = Z.shape[1], T.shape[0]
    step = max(1, _BLOCK_ENTRIES // n_items)

    def score(columns):
        members = csr_array(T[:, columns])
        scores = np.empty((len(columns), n_neurons))
        for start in range(0, n_neurons, step):
            profiles = np.asarray(item_profiles[start : start + step])
            for neuron, profile in enumerate(profiles, start):
                scores[:, neuron] = _average_precision(members, profile)
        return scores

    return score


def _average_precision(members, profile):
    """Return the average precision of every column's members in one ranking.

    Items with equal values are on one place, the last of them, as scikit-learn has it.
    """
    order = np.argsort(-profile)
    descending = -profile[order]
    # Items at least as high, per place.
    at_least = np.searchsorted(descending, descending, side="right")
    ranked = csc_array(members[order])
    sizes = np.diff(ranked.indptr)
    column = np.repeat(np.arange(len(sizes)), sizes)
    n_shown = at_least[ranked.indices]
    last = np.ones(len(column), dtype=bool)
    last[:-1] = (n_shown[1:] != n_shown[:-1]) | (column[1:] != column[:-1])
    ends = np.flatnonzero(last)
    ends = np.repeat(ends, np.diff(ends, prepend=-1))
    n_found = ends + 1 - np.repeat(ranked.indptr[:-1], sizes)
    total = np.bincount(column, n_found / n_shown, minlength=len(sizes))
    return total / np.maximum(sizes, 1)


#: Those that read how much of a concept a row has, not only whether.
ON_WEIGHTS = ("best_characterizes", "most_unique")

SCORE_FUNCTIONS = {
    "best_characterizes": _prepare_tfidf("best_characterizes"),
    "most_unique": _prepare_tfidf("most_unique"),
    "point_biserial": _prepare_correlation,
    "precision": _prepare_firing(lambda n_fires, n_members: n_fires),
    "recall": _prepare_firing(lambda n_fires, n_members: n_members),
    "f1": _prepare_firing(lambda n_fires, n_members: (n_fires + n_members) / 2),
    "output_precision": _prepare_output_precision,
}
