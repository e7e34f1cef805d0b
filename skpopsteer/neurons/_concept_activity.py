"""How active every neuron is on every concept, and TF-IDF of that."""

import numpy as np
from scipy.sparse import csr_array, issparse

from skpopsteer._validation import as_array, as_csr_array, canonical_csr

__all__ = ["as_csr", "check_activations", "concept_activity", "neuron_tfidf"]


def concept_activity(Z, T):
    r"""Sum the activations of every neuron over the rows of every concept.

    Parameters
    ----------
    Z : array-like or sparse of shape (n_rows, n_neurons)
        Activations, not negative; rows are items presented as users of one item.
    T : array-like or sparse of shape (n_rows, n_concepts)
        Weight of every concept in every row, not negative: how often the item was given
        the tag, or 1.

    Returns
    -------
    csr_array of shape (n_concepts, n_neurons), dtype float64
        :math:`R = P^\top Z` with :math:`P = T / \sum T` [1]_.

    See Also
    --------
    neuron_tfidf : What is made of it.

    Notes
    -----
    The constant :math:`\sum T` cancels in :func:`neuron_tfidf`. Time is that of one
    sparse product.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import concept_activity
    >>> Z = np.array([[2.0, 0, 0], [0, 4, 0], [2, 4, 0]])
    >>> T = np.array([[1, 0], [0, 1], [1, 1]])
    >>> concept_activity(Z, T).toarray()
    array([[1. , 1. , 0. ],
           [0.5, 2. , 0. ]])
    """
    Z, T = check_activations(Z, T)
    return csr_array(T.T @ Z) / max(T.sum(), np.finfo(np.float64).tiny)


def neuron_tfidf(R, *, direction="best_characterizes"):
    r"""Weigh activity by how rare it is among the neurons, or among the concepts.

    Parameters
    ----------
    R : array-like or sparse of shape (n_concepts, n_neurons)
        Activity, not negative, as :func:`concept_activity` gives it.
    direction : {"best_characterizes", "most_unique"}, default="best_characterizes"
        ``"best_characterizes"``: concepts are documents and neurons the terms in them,
        so that the highest value of a row is the neuron that tells most of the concept.
        ``"most_unique"``: neurons are documents and concepts the terms, so that the
        highest value of a row is the neuron that fires for little else.

    Returns
    -------
    ndarray or csr_array of shape (n_concepts, n_neurons), dtype float64
        Sparse where `R` is. Concepts stay in the rows in both directions.

    See Also
    --------
    map_concepts : Pick the best neurons of every concept.
    monosemanticity : How few neurons a concept has, and the other way round.

    Notes
    -----
    For a matrix M of terms by documents, with D documents,

    .. math::

        \mathrm{tfidf}_{rc} = \frac{M_{rc}}{\sum_{r'} M_{r'c}}
        \left(\ln\frac{D + 1}{|\{c': M_{rc'} \neq 0\}| + 1} + 1\right)

    where documents that hold nothing get 0 [1]_. ``"best_characterizes"`` is the
    transpose of :math:`\mathrm{tfidf}(R^\top)`, ``"most_unique"`` is
    :math:`\mathrm{tfidf}(R)`. In the second the idf is one number per concept, and a
    neuron that fires for a single row of a rare concept gets the full share.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.neurons import neuron_tfidf
    >>> R = np.array([[3.0, 1.0], [0.0, 1.0]])
    >>> neuron_tfidf(R).round(3)
    array([[1.054, 0.25 ],
           [0.   , 1.   ]])
    >>> neuron_tfidf(R, direction="most_unique").round(3)
    array([[1.   , 0.5  ],
           [0.   , 0.703]])
    """
    directions = ("best_characterizes", "most_unique")
    if not isinstance(direction, str) or direction not in directions:
        raise ValueError(
            "`direction` must be 'best_characterizes' or 'most_unique'; got "
            f"{direction!r}. The first finds a neuron for a concept."
        )
    # Documents in the rows: their sums are of rows, the idf is one number a column.
    by_concept = direction == "best_characterizes"
    table = as_csr("R", R)
    weighted = _tfidf(table) if by_concept else _tfidf(csr_array(table.T)).T
    return csr_array(weighted) if issparse(R) else weighted.toarray()


def _tfidf(documents):
    """Return TF-IDF of a CSR array (n_documents, n_terms)."""
    n_documents, n_terms = documents.shape
    in_documents = np.bincount(documents.indices, minlength=n_terms)
    idf = np.log((n_documents + 1) / (in_documents + 1)) + 1
    totals = np.repeat(documents.sum(axis=1), np.diff(documents.indptr))
    weighted = documents.copy()
    weighted.data = documents.data / totals * idf[documents.indices]
    return weighted


def check_activations(Z, T):
    """Return activations and concepts of the same rows, as canonical CSR arrays."""
    Z, T = as_csr("Z", Z), as_csr("T", T).astype(np.float64, copy=False)
    if Z.shape[0] != T.shape[0]:
        raise ValueError(
            f"`T` must have one row per row of `Z` ({Z.shape[0]}); got {T.shape[0]}. "
            "Pass the concepts of the same rows."
        )
    return Z, T


def as_csr(name, matrix):
    """Return a canonical CSR array, which may share memory with the input."""
    matrix = matrix if issparse(matrix) else as_array(name, matrix)
    if matrix.ndim != 2 or matrix.dtype.kind not in "biuf":
        raise ValueError(
            f"`{name}` must be a matrix of numbers; got shape {matrix.shape} and dtype "
            f"{matrix.dtype}. Pass an array or a scipy.sparse.csr_array."
        )
    matrix = canonical_csr(as_csr_array(matrix))
    if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
        what = "activations, no pre-activations" if name == "Z" else "0 for what is not"
        # The middle is scikit-learn's wording, which its own checks look for.
        raise ValueError(
            f"`{name}` must hold finite numbers >= 0; got others (Negative values in "
            f"data passed to {name}). Pass {what}."
        )
    return matrix
