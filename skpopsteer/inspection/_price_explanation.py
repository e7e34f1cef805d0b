"""Which neurons the prices of a slot pricing go with."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse
from sklearn.linear_model import RidgeCV
from sklearn.utils.validation import check_is_fitted

from skpopsteer._text_table import align_columns
from skpopsteer._validation import as_array, check_embeddings
from skpopsteer.inspection._display_inputs import check_number

__all__ = ["PriceExplanation", "explain_prices"]

#: Penalties of the ridge to choose from, for codes of unit deviation.
_PENALTIES = np.geomspace(1e-1, 1e5, 13)


@dataclass(frozen=True)
class PriceExplanation:
    """What :func:`explain_prices` found: prints as text.

    Parameters
    ----------
    r2 : float
        Share of the variance of log prices that item codes tell of items left out one
        by one; 1 is all, and 0 or less nothing.
    coefficients : ndarray of shape (n_neurons,)
        Change of the log price with one deviation of the neuron's activation over
        items; 0 for neurons that never fire.
    strength : float
        Strength the prices belong to.
    examples : list of list of str
        Of every neuron, the items it fires most for.
    n_shown : int, default=5
        Neurons of either sign that are printed.

    See Also
    --------
    explain_prices : Makes it.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.inspection import PriceExplanation
    >>> slopes, examples = np.array([0.1, 0.0, -0.2]), [["a"], [], ["b"]]
    >>> print(PriceExplanation(0.8, slopes, 0.01, examples))
    At strength 0.01 the codes of 2 neurons explain 80 % of the log price
    of a slot (R² of items left out one by one).
    price  neuron  fires most for
    -----  ------
    +11 %  0       a
    -18 %  2       b
    (price: change with one deviation of the neuron's activation over items)
    """

    r2: float
    coefficients: np.ndarray
    strength: float
    examples: list[list[str]]
    n_shown: int = 5

    def __str__(self):
        fire = int((self.coefficients != 0).sum())
        head = (
            f"At strength {self.strength:.3g} the codes of {fire:,} neurons explain "
            f"{100 * max(self.r2, 0):.0f} % of the log price\nof a slot (R² of items "
            "left out one by one)."
        )
        order = np.argsort(-self.coefficients, kind="stable")
        rows = [
            ["price", "neuron", "fires most for"],
            *(self._row(j) for j in order[: self.n_shown] if self.coefficients[j] > 0),
            *(
                self._row(j)
                for j in order[::-1][: self.n_shown][::-1]
                if self.coefficients[j] < 0
            ),
        ]
        lines, rule = align_columns([row[:2] for row in rows], left=(1,))
        lines = [f"{line}  {row[2]}" for line, row in zip(lines, rows, strict=True)]
        lines.insert(1, rule)
        note = (
            "(price: change with one deviation of the neuron's activation over items)"
        )
        return "\n".join([head, *lines, note])

    def _row(self, j):
        change = 100 * np.expm1(self.coefficients[j])
        return [f"{change:+.0f} %", str(j), ", ".join(self.examples[j])]


def explain_prices(model, probe, *, item_names=None, n_examples=3, n_shown=5):
    """Tell the prices of a slot pricing by the neurons of an item autoencoder.

    Parameters
    ----------
    model : fitted SlotPricingRecommender
        With a strength above 0, around a host with item embeddings.
    probe : fitted autoencoder
        Of the item embeddings: anything with `transform`.
    item_names : array-like of shape (n_items,), default=None
        What to call the items; None is their positions.
    n_examples : int, default=3
        Items to name for a neuron.
    n_shown : int, default=5
        Neurons of either sign that are printed.

    Returns
    -------
    PriceExplanation

    Raises
    ------
    ValueError
        Where nothing has a price, where no neuron tells items apart, and for names of
        another number of items.
    TypeError
        For a model without prices, or around a host without item embeddings, and for
        what is no autoencoder.

    Notes
    -----
    A ridge regression of log prices on standardised codes, its penalty chosen by
    leaving out items one by one, O(n_items n_neurons²). It explains and no more: what
    it leaves over tells one item from another, and lists at the prices it predicts are
    worse.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SlotPricingRecommender, SparseAutoencoderProbe
    >>> from skpopsteer.adapters import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import explain_prices
    >>> from skpopsteer.model_selection import hide_interactions
    >>> X, y = hide_interactions(
    ...     make_interactions(300, 100, random_state=0).X, random_state=0
    ... )
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> model = SlotPricingRecommender(host, pool_size=50, strength=0.01)
    >>> model = model.set_params(random_state=0).fit(X, y)
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=20, random_state=0)
    >>> found = explain_prices(model, probe.fit(host.item_embeddings_))
    >>> found.coefficients.shape
    (32,)
    """
    if not hasattr(model, "allocate") or not hasattr(model, "recommender_"):
        raise TypeError(
            "`model` must be a fitted SlotPricingRecommender; got "
            f"{type(model).__name__}. Only that has prices of items."
        )
    check_is_fitted(model)
    if not hasattr(model.recommender_, "item_embeddings_"):
        raise TypeError(
            "`model` must be around a host with item embeddings; got "
            f"{type(model.recommender_).__name__}. Neurons are made of them."
        )
    prices = model.prices_
    if not prices.max() > 0:
        raise ValueError(
            "`model` must have a strength above 0; got prices that are all 0. Set "
            "strength, or allow a loss with within, and fit again."
        )
    n_examples = check_number("n_examples", n_examples)
    n_shown = check_number("n_shown", n_shown)
    names = _check_names(item_names, len(prices))
    codes = _codes_of(probe, np.asarray(model.recommender_.item_embeddings_))
    deviation = codes.std(axis=0)
    fires = deviation > 0
    if not fires.any():
        raise ValueError(
            "`probe` must have a neuron that tells items apart; got activations that "
            "are the same for all. Train it longer, or with more neurons."
        )
    standard = (codes[:, fires] - codes[:, fires].mean(axis=0)) / deviation[fires]
    ridge = RidgeCV(_PENALTIES, scoring="r2").fit(standard, np.log(prices))
    coefficients = np.zeros(len(deviation))
    coefficients[fires] = ridge.coef_
    most = np.argsort(-codes, axis=0, kind="stable")[:n_examples]
    examples = [
        [names[i] for i in column if codes[i, j] > 0] for j, column in enumerate(most.T)
    ]
    own = model.strength_ if model.strength is None else float(model.strength)
    return PriceExplanation(
        float(ridge.best_score_), coefficients, own, examples, n_shown
    )


def _check_names(item_names, n_items):
    if item_names is None:
        return [str(i) for i in range(n_items)]
    if as_array("item_names", item_names).ndim != 1:
        raise TypeError(
            f"`item_names` must hold one name per item ({n_items}); got "
            f"{type(item_names).__name__}. Pass a list of titles."
        )
    names = [str(name) for name in item_names]
    if len(names) != n_items:
        raise ValueError(
            f"`item_names` must hold one name per item ({n_items}); got {len(names)}. "
            "Pass them in the order of the columns of `X`."
        )
    return names


def _codes_of(probe, V):
    if not hasattr(probe, "transform") or isinstance(probe, type):
        raise TypeError(
            "`probe` must be a fitted autoencoder of item embeddings, with transform; "
            f"got {type(probe).__name__}. Fit a SparseAutoencoderProbe on them."
        )
    codes = probe.transform(V)
    codes = codes.toarray() if issparse(codes) else codes
    codes = check_embeddings("probe", codes).astype(np.float64)
    if len(codes) != len(V):
        raise ValueError(
            f"`probe` must give every item a row of activations ({len(V)}); got "
            f"{len(codes)}. Pass an autoencoder of item embeddings."
        )
    return codes
