"""How few neurons a concept has, and how few concepts a neuron."""

import numpy as np
from sklearn.utils import Bunch

from skpopsteer._validation import is_finite_number
from skpopsteer.neurons._concept_activity import as_csr

__all__ = ["monosemanticity"]


def monosemanticity(F, *, of="concepts", epsilon=1e-9) -> Bunch:
    r"""Measure how concentrated concepts are on neurons, or neurons on concepts.

    Parameters
    ----------
    F : array-like or sparse of shape (n_concepts, n_neurons)
        Weights, not negative, as :func:`neuron_tfidf` gives them. Published figures are
        of ``"most_unique"`` for concepts and of ``"best_characterizes"`` for neurons
        [1]_.
    of : {"concepts", "neurons"}, default="concepts"
        What is measured: the distribution of every concept over the neurons, or of
        every neuron over the concepts.
    epsilon : float, default=1e-9
        Added to the weights in `divergence_of_mean`, before they are made to sum to 1.

    Returns
    -------
    measures : :class:`~sklearn.utils.Bunch`
        Arrays of shape (n_concepts,), or (n_neurons,); NaN where all weights are 0.

        entropy : ndarray
            In nats; 0 where all weight is on one neuron.
        entropy_decrease : ndarray
            Relative to the entropy of the mean, at most 1; negative where the weights
            are spread more evenly than the mean.
        divergence_from_mean : ndarray
            Kullback-Leibler divergence of the distribution from the mean one, in nats.
            It is finite by itself: where a distribution has weight, the mean has too.
        divergence_of_mean : ndarray
            The other way round, in nats, which is the published one [1]_. The mean has
            weight where a distribution has none, so that `epsilon` decides: the value
            is about :math:`-\ln\epsilon` times the share of such weight.

    See Also
    --------
    neuron_tfidf : What makes `F`.

    Notes
    -----
    With the weights :math:`f_t` of row t, :math:`v_t = f_t / \sum f_t`, and the mean
    :math:`\bar v = \sum_t f_t / \sum_t \sum f_t`, in which rows count by their weight,

    .. math::

        H_t = -\sum_n v_{tn} \ln v_{tn}, \quad
        \frac{H(\bar v) - H_t}{H(\bar v)}, \quad
        KL(v_t \| \bar v) = \sum_n v_{tn} \ln \frac{v_{tn}}{\bar v_n}, \quad
        KL\left(\bar v \,\middle\|\, \frac{f_t + \epsilon}{\sum (f_t + \epsilon)}
        \right)

    Time and memory grow with what is stored in `F`.

    References
    ----------
    .. [1] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.

    Examples
    --------
    >>> from skpopsteer.neurons import monosemanticity
    >>> measures = monosemanticity([[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    >>> measures.entropy.round(3)
    array([0.693, 0.   ])
    >>> measures.divergence_from_mean.round(3)
    array([0.693, 0.693])
    >>> measures.divergence_of_mean.round(1)
    array([10. ,  9.7])
    """
    if not isinstance(of, str) or of not in ("concepts", "neurons"):
        raise ValueError(
            f"`of` must be 'concepts' or 'neurons'; got {of!r}. It says what is "
            "measured; `F` has concepts in its rows in any case."
        )
    if not is_finite_number(epsilon) or epsilon <= 0:
        raise ValueError(
            f"`epsilon` must be a positive number; got {epsilon!r}. Published is 1e-9."
        )
    epsilon = float(epsilon)
    weights = as_csr("F", F)
    weights = weights if of == "concepts" else as_csr("F", weights.T)
    rows = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    mean = np.bincount(weights.indices, weights.data, minlength=weights.shape[1])
    mean = mean / mean.sum() if mean.any() else mean
    totals = weights.sum(axis=1)
    shares = weights.data / totals[rows]

    def sum_rows(values):
        summed = np.bincount(rows, values, minlength=len(totals)).astype(np.float64)
        return np.where(totals > 0, summed, np.nan)

    entropy = sum_rows(-shares * np.log(shares))
    of_mean = -_negative_entropy(mean)
    covered = mean[weights.indices]
    against = sum_rows(covered * np.log(weights.data + epsilon))
    against += (1 - sum_rows(covered)) * np.log(epsilon)
    scale = np.log(totals + epsilon * weights.shape[1])
    return Bunch(
        entropy=entropy,
        entropy_decrease=(of_mean - entropy) / of_mean if of_mean > 0 else 0 * entropy,
        divergence_from_mean=sum_rows(shares * np.log(shares / covered)),
        divergence_of_mean=scale - of_mean - against,
    )


def _negative_entropy(shares):
    shares = shares[shares > 0]
    return float((shares * np.log(shares)).sum())
