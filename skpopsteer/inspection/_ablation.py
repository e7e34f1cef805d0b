"""Turn chosen neurons, and measure what becomes of the recommendations."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from skpopsteer._validation import check_item_features, check_per_item
from skpopsteer.inspection._ablation_groups import draw_controls, read_groups
from skpopsteer.inspection._ablation_rows import Bench, Turn
from skpopsteer.inspection._ablation_table import Ablation
from skpopsteer.metrics._lists import check_count, check_split
from skpopsteer.model_selection import HeldOut
from skpopsteer.steering import SteeredRecommender

__all__ = ["ablate_neurons"]

#: Items kept that a neuron promotes, and demotes.
_N_ITEMS = 10


def ablate_neurons(
    model,
    X,
    y=None,
    *,
    neurons,
    probe=None,
    factor=0.0,
    value=None,
    item_features=None,
    item_titles=None,
    user_ids=None,
    n_recommendations=10,
    n_controls=20,
    random_state=None,
):
    r"""Scale, silence or hold neurons, and measure what becomes of the lists.

    Nothing is fitted, and the model stays as it is. Lists before are those of the host,
    whatever knobs of a steered recommender are turned; the error of the autoencoder is
    kept. Random other neurons are turned in the same way, because turning any neuron
    changes something.

    Parameters
    ----------
    model : fitted SteeredRecommender, search that has fitted one, or host
        A steered recommender gives its host and the autoencoder of its user side; with
        a host give `probe`.
    X : array-like or sparse of shape (n_users, n_items)
        Interactions the recommender sees.
    y : sparse (n_users, n_items) or array-like of shape (n_users,), default=None
        Held-out interactions, for NDCG over the users that have some; 1-D holds one
        item position per user, -1 for none.
    neurons : int, list or dict
        A neuron; a list of neurons and of groups, each a list of neurons that are
        turned together; or a dict of names to neurons or groups.
    probe : fitted autoencoder, default=None
        For a host: what reads its user embeddings, with activations that are not
        negative.
    factor : float, default=0.0
        Multiplies the activations: 0 ablates, less than 1 suppresses, more amplifies.
    value : float, default=None
        Hold the neurons at this share of their peak instead, in every row, also where
        they are inactive. The peak is the largest activation over the rows a steered
        recommender was fitted on, for a host over the rows of `X`.
    item_features : matrix, tuple, data frame or mapping, default=None
        Attributes of items, such as genres: sparse or array-like of shape (n_items,
        n_features), ``(matrix, names)``, a frame, or vectors by name. An item has what
        is not 0.
    item_titles : array-like of str, shape (n_items,), default=None
        What to call items; None calls them by position.
    user_ids : array-like of shape (n_users,), default=None
        Positions of trained users; None folds every row in.
    n_recommendations : int, default=10
        Length of the lists.
    n_controls : int, default=20
        Random neurons, or groups of as many neurons, that each is compared with. Their
        mean activations are nearly equal; with `value` their peaks are.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of controls.

    Returns
    -------
    Ablation
        What changes, on the rows where a neuron is active and on all others, beside
        what controls change; and the items that the neuron promotes and demotes.

    Raises
    ------
    TypeError
        For a model that is neither, or a host without a `probe`.
    ValueError
        For neurons that do not exist, and for an autoencoder with negative activations.

    See Also
    --------
    skpopsteer.neurons.NeuronSubset : Turn chosen neurons in a recommender.

    Notes
    -----
    With activation z, direction w of the neuron and item embeddings v, a factor s moves
    the embedding and the scores by

    .. math::

        u' - u = (s - 1) z w, \qquad s'(v) - s(v) = (s - 1) z \langle w, v \rangle .

    The items a neuron promotes are therefore those with the largest
    :math:`\langle w, v \rangle`, exactly; those of a group are weighed by mean
    activation. Where the host decodes otherwise, or the autoencoder has no
    `decoder_weights_`, they are estimated: by the mean of what scores lose when the
    neurons are silenced, over the rows where they are active.

    A share is the mean over lists of the share of their items with an attribute. The
    p-value says how many controls change a measure at least as much, up or down; it
    cannot be below 1 / (1 + n_controls). It holds for an attribute chosen beforehand,
    not for the largest change of many. Controls are measured on their own active rows,
    and as activations differ by orders of magnitude, a very active neuron may lack
    equals: the report shows how active its controls are.

    Memory is bounded by blocks of rows. Beside two encodings of the rows and the host's
    scores, a neuron costs one product with the items and one sort, for the rows where
    it is active; with `value`, for all rows.

    References
    ----------
    .. [1] J. Wang et al., "Understanding Internal Representations of Recommendation
       Models with Sparse Autoencoders", 2024, arXiv:2411.06112.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import ablate_neurons
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> probe = probe.fit(host.encode_users(X))
    >>> table = ablate_neurons(
    ...     host, X, probe=probe, neurons=[3, 5], n_controls=5, random_state=0
    ... )
    >>> table.changes.shape, table.measures
    ((2, 2, 3), ['overlap@10', 'top-1 unchanged', 'score change'])
    >>> bool((table["overlap@10"][:, 1] == 0).all())
    True
    """
    host, probe, peaks = _host_and_probe(model, probe)
    rule, push = _rule(factor, value)
    n_controls = _check_n_controls(n_controls)
    advice = "It is the length of every list."
    k = check_count("n_recommendations", n_recommendations, advice)
    X, user_ids = host._check_rows(X, user_ids)
    features, names = _features(item_features, X.shape[1])
    titles = _titles(item_titles, X.shape[1])
    y = _held_out(y, X)
    bench = Bench(host, probe, X, host.encode_users(X, user_ids), y, k, features, names)
    means, seen_peaks = bench.measure_activity()
    peaks = seen_peaks if peaks is None else peaks
    named = read_groups(neurons, len(means), getattr(probe, "neuron_labels_", {}))
    groups = list(named.values())
    # What a held neuron adds depends on its peak.
    levels = peaks if rule == "hold" else means
    rng = check_random_state(random_state)
    controls = draw_controls(groups, levels, n_controls, rng)
    # A neuron may be drawn for several groups, and is turned once.
    turned = dict.fromkeys([*groups, *(one for some in controls for one in some)])
    turns = {g: Turn(np.array(g), rule, push, peaks[list(g)]) for g in turned}
    sums = bench.run(turns, groups)
    effects, effects_are = _item_effects(bench, sums, groups, means)
    return Ablation(
        names=list(named),
        neurons=groups,
        measures=bench.measures,
        titles=titles,
        effects_are=effects_are,
        level_name="peak" if rule == "hold" else "mean activation",
        conventions=_conventions(factor, value, k, user_ids),
        **_arrange(sums, groups, controls, levels),
        **_strongest(effects),
    )


def _host_and_probe(model, probe):
    """Return the host, the autoencoder of its users, and peaks where they are known."""
    inner = model.estimator if isinstance(model, FrozenEstimator) else model
    inner = getattr(inner, "best_estimator_", inner)
    if isinstance(inner, SteeredRecommender):
        if probe is not None:
            raise TypeError(
                "`probe` must be None for a SteeredRecommender, which has one; got "
                f"{type(probe).__name__}. Pass model.recommender_ to use another."
            )
        side = inner._side("user")
        return inner.recommender_, side.probe, side.peaks
    if not (hasattr(model, "encode_users") and hasattr(model, "decode")):
        raise TypeError(
            "`model` must be a SteeredRecommender, or a host with encode_users and "
            f"decode; got {type(model).__name__}. Wrap a trained model with "
            "as_recommender(model)."
        )
    if not (hasattr(probe, "transform") and hasattr(probe, "inverse_transform")):
        raise TypeError(
            "`probe` must be a fitted autoencoder when `model` is a host; got "
            f"{type(probe).__name__}. Fit one: SparseAutoencoderProbe().fit("
            "host.encode_users(X))."
        )
    return model, probe, None


def _check_n_controls(n_controls):
    whole = isinstance(n_controls, Integral) and not isinstance(n_controls, bool)
    if not whole or n_controls < 0:
        raise ValueError(
            f"`n_controls` must be an integer >= 0; got {n_controls!r}. It is how many "
            "random neurons each is compared with."
        )
    return int(n_controls)


def _rule(factor, value):
    """Return the name of the rule, and its push."""
    for name, number in (("factor", factor), ("value", value)):
        if name == "value" and number is None:
            continue
        if not isinstance(number, Real) or not 0 <= number < np.inf:
            raise ValueError(
                f"`{name}` must be a finite number >= 0; got {number!r}. 0 silences "
                "the neurons."
            )
    if value is None:
        return "multiply", float(factor) - 1
    if factor != 0:
        raise ValueError(
            f"`factor` must be left out where `value` is given; got {factor!r} and "
            f"{value!r}. Activations are either multiplied or held."
        )
    # A push of 0 would leave the neurons alone.
    return ("hold", float(value)) if value else ("multiply", -1.0)


def _held_out(y, X):
    if y is None:
        return None
    y = HeldOut(y)
    if y.shape not in (X.shape, X.shape[:1]):
        raise ValueError(
            f"`y` must be a matrix of the shape of `X`, {X.shape}, or one item per row;"
            f" got shape {y.shape}. hide_interactions(X) makes X_seen and y."
        )
    # There are no lists yet: an empty one each.
    check_split(X, y, np.full((X.shape[0], 1), -1))
    return y


def _features(item_features, n_items):
    """Return a matrix of 0 and 1, and the names of its columns."""
    if item_features is None:
        return csr_array((n_items, 0)), []
    features, names = check_item_features(item_features, n_items)
    ones = np.ones(features.nnz)
    return csr_array(
        (ones, features.indices, features.indptr), shape=features.shape
    ), names


def _titles(titles, n_items):
    if titles is None:
        return [f"item {item}" for item in range(n_items)]
    return [str(title) for title in check_per_item("item_titles", titles, n_items)]


def _item_effects(bench, sums, groups, means):
    """Return what groups do to the score of every item, and what that number is."""
    if not bench.is_exact:
        added = [sums[group].added / max(sums[group].n_rows[0], 1) for group in groups]
        return np.array(added), "estimated: mean score added where active"
    directions = []
    for group in groups:
        weights = means[list(group)]
        weights = weights / weights.sum() if weights.any() else np.ones(len(group))
        directions.append(weights @ bench.probe.decoder_weights_[list(group)])
    table = np.asarray(bench.host.item_embeddings_)
    return np.array(directions) @ table.T, "exact: score per unit of activation"


def _strongest(effects):
    """Return the items that are promoted and demoted most, and by how much."""
    n_shown = min(_N_ITEMS, effects.shape[1])
    found = {}
    for verb, sign in (("promoted", 1), ("demoted", -1)):
        items = np.argsort(-sign * effects, axis=1, kind="stable")[:, :n_shown]
        found[verb] = items
        found[f"{verb}_effects"] = np.take_along_axis(effects, items, axis=1)
    return found


def _arrange(sums, groups, controls, levels):
    """Put means of groups, and of what their controls change, into tables."""
    before, after = zip(*(sums[group].means() for group in groups), strict=True)
    shape = len(groups), max(map(len, controls))
    changes = np.full((*shape, *before[0].shape), np.nan)
    control_levels = np.full(shape, np.nan)
    for place, some in enumerate(controls):
        for position, control in enumerate(some):
            was, now = sums[control].means()
            changes[place, position] = now - was
            control_levels[place, position] = levels[list(control)].sum()
    return {
        "n_rows": np.array([sums[group].n_rows for group in groups]),
        "before": np.array(before),
        "after": np.array(after),
        "controls": controls,
        "control_changes": changes,
        "levels": np.array([levels[list(group)].sum() for group in groups]),
        "control_levels": control_levels,
    }


def _conventions(factor, value, k, user_ids):
    done = f"activations multiplied by {factor:g}"
    if value is not None:
        done = f"activations held at {value:g} of their peak"
    users = "folded in from their rows" if user_ids is None else "trained vectors"
    return (
        f"{done}; lists of {k}; users: {users}; controls: mean ± deviation; "
        "p: rank of the size of the change among them"
    )
