"""The numbers behind a trade-off: from lists, or from the results of a search."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skpopsteer._validation import as_array
from skpopsteer.inspection._display_inputs import check_column, check_mapping
from skpopsteer.metrics import RecommenderScorer, get_scorer
from skpopsteer.metrics._bootstrap import recentred_interval

__all__ = [
    "check_curve",
    "check_paths",
    "check_reference",
    "curves_of_lists",
    "pair_scorer",
    "path_lists",
    "position_of",
    "scores_of_search",
    "width_of",
    "with_baselines",
]


def pair_scorer(x_metric, y_metric, groups, length):
    """Make one scorer of two metrics, whose names have a length.

    Parameters
    ----------
    x_metric, y_metric : str or RecommenderScorer
        Of one metric each.
    groups : PopularityGroups or None
        What counts as head and tail.
    length : int
        Of the lists, for metrics without one.

    Returns
    -------
    RecommenderScorer
        Its `metrics` are those of x and of y, in this order.
    """
    both = {}
    for metric in (x_metric, y_metric):
        if not isinstance(metric, RecommenderScorer):
            metric = get_scorer(metric)
        ((name, (function, sign, k)),) = metric.metrics.items()
        # The axis is to say how long the lists were.
        name = name.lower() if k is not None else f"{name.lower()}@{length}"
        both[name] = (function, sign, length if k is None else k)
    if len(both) < 2:
        raise ValueError(
            f"`x_metric` and `y_metric` must differ; got {next(iter(both))!r} twice. "
            "Choose one of accuracy and one of exposure."
        )
    return RecommenderScorer(both, groups=groups)


def with_baselines(name, own, baselines):
    """Put what belongs to the recommender before what belongs to its baselines."""
    if baselines is None or (isinstance(baselines, Mapping) and not baselines):
        return {str(name): own}
    baselines = check_mapping("baselines", baselines, "what they are compared with")
    if str(name) in baselines:
        raise ValueError(
            "`baselines` must be a dict of names other than the recommender's; got "
            f"{str(name)!r} twice. Choose other names."
        )
    return {str(name): own} | baselines


def check_paths(name, path, baselines):
    """Refuse what has no strength to be turned, before anything is scored."""
    paths = with_baselines(name, path, baselines)
    for key, pair in paths.items():
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(
                f"`baselines` must hold pairs (model, strengths); got "
                f"{type(pair).__name__} for {key!r}. Write (model, [0, 0.1])."
            )
        if not hasattr(pair[0], "_path"):
            raise TypeError(
                f"`{'model' if pair is path else 'baselines'}` must be a fitted "
                f"recommender with a strength; got {type(pair[0]).__name__}. Wrap a "
                "host in SteeredRecommender and fit it."
            )
    return {
        key: (model, _distinct(strengths)) for key, (model, strengths) in paths.items()
    }


def _distinct(strengths):
    table = as_array("strengths", strengths)
    if table.dtype.kind not in "biuf":
        raise TypeError(
            f"`strengths` must be numbers; got dtype {table.dtype}. Pass a list such "
            "as [0, 0.5, 1]."
        )
    with np.errstate(over="ignore"):
        numbers = table.astype(np.float64).ravel()
    # In the given order: a strength that is named twice is one point.
    distinct = list(dict.fromkeys(numbers))
    if not distinct:
        raise ValueError(
            "`strengths` must hold at least one number; got none. "
            "0 gives the lists of the host."
        )
    return [float(strength) for strength in distinct]


def path_lists(model, strengths, X, length, user_ids):
    """Make the lists of a model at every strength, from one encoding of the rows."""
    lists = model._path(X, strengths, length, user_ids=user_ids)
    return dict(zip(strengths, lists, strict=True))


def curves_of_lists(scorer, yardstick, X, y, paths, host, n_boot, random_state):
    """Score the lists of all curves, and of the host, on the same draws of users.

    Parameters
    ----------
    scorer : RecommenderScorer
        Of two metrics.
    yardstick : object
        Whose popularity, groups and length of lists count for every curve.
    X, y : see :meth:`RecommenderScorer.score_lists`
        As there.
    paths : dict of str to dict of float to ndarray
        Lists of every curve at every strength.
    host : ndarray of shape (n_users, n) or None
        Lists of the host.
    n_boot : int
        Number of draws.
    random_state : int, RandomState instance or None
        Seed of the draws.

    Returns
    -------
    curves : dict of str to Bunch
    host : Bunch or None
    """
    # One seed for all, so that points and curves differ by what they recommend only.
    seed = check_random_state(random_state).randint(2**31 - 1)

    def score(lists):
        found = scorer.score_lists(yardstick, X, y, lists)
        if not n_boot:
            return [(value, None) for value in found.values()]
        draws = scorer.bootstrap_lists(
            yardstick, X, y, lists, n_boot=n_boot, random_state=seed
        )
        return [(v, recentred_interval(draws[name], v)) for name, v in found.items()]

    curves = {}
    for name, path in paths.items():
        _check_path(name, path)
        scored = [score(lists) for lists in path.values()]
        curves[name] = _curve(np.array(list(path)), scored)
    return curves, None if host is None else _curve(np.array([np.nan]), [score(host)])


def _check_path(name, path):
    if not isinstance(path, Mapping) or not path:
        raise ValueError(
            "`recommendations` must be a dict of strengths to lists, not empty; got "
            f"{type(path).__name__} for {name!r}. Write {{0.5: lists}}."
        )


def width_of(path):
    """Return the length of the lists at the first strength."""
    _check_path("recommender", path)
    lists = as_array("recommendations", next(iter(path.values())))
    return lists.shape[1] if lists.ndim == 2 else 1


def _curve(points, scored):
    curve = Bunch(points=points)
    for axis, column in zip("xy", zip(*scored, strict=True), strict=True):
        values, intervals = zip(*column, strict=True)
        curve[axis] = np.array(values, dtype=np.float64)
        known = intervals[0] is not None
        curve[f"{axis}_interval"] = np.column_stack(intervals) if known else None
    return curve


def scores_of_search(search, x_metric, y_metric):
    """Read the candidates of a search that scored several metrics.

    Parameters
    ----------
    search : fitted search of scikit-learn
        With `cv_results_` and `n_splits_`.
    x_metric, y_metric : str
        Names of two of its metrics.

    Returns
    -------
    curve : Bunch
        With intervals of one standard error, where there are two folds at least.
    point_name : str
        The parameter that varies, or "candidate" where several do.
    """
    if not hasattr(search, "cv_results_"):
        raise ValueError(
            "`search` must be a fitted search of scikit-learn; got "
            f"{type(search).__name__} without cv_results_. Call its fit first."
        )
    results = search.cv_results_
    points, point_name = _what_varies(results["params"])
    curve = Bunch(points=points)
    for axis, metric in (("x", x_metric), ("y", y_metric)):
        if f"mean_test_{metric}" not in results:
            known = [k.removeprefix("mean_test_") for k in results if "mean_test_" in k]
            raise ValueError(
                f"`{axis}_metric` must be a metric of the search ({', '.join(known)}); "
                f"got {metric!r}. Search with scoring=get_scorer([...])."
            )
        mean = np.asarray(results[f"mean_test_{metric}"], dtype=np.float64)
        curve[axis], curve[f"{axis}_interval"] = mean, None
        if search.n_splits_ > 1:
            # Of n folds; the deviation there is of ddof 0.
            error = results[f"std_test_{metric}"] / np.sqrt(search.n_splits_ - 1)
            curve[f"{axis}_interval"] = np.array([mean - error, mean + error])
    return curve, point_name


def _what_varies(params):
    names = sorted({name for candidate in params for name in candidate})
    values = {n: [candidate.get(n) for candidate in params] for n in names}
    varying = [n for n in names if len(set(map(repr, values[n]))) > 1]
    if len(varying) != 1:
        return np.arange(len(params)), "candidate"
    points = values[varying[0]]
    numbers = all(isinstance(p, int | float | np.number) for p in points)
    points = np.array(points if numbers else [str(p) for p in points])
    return points, varying[0].rpartition("__")[2]


def position_of(mark, points):
    """Find the strength that was chosen."""
    if mark is None:
        return None
    points = np.asarray(points).tolist()
    # What is no number or name may not even be comparable.
    if not isinstance(mark, Real | str) or mark not in points:
        raise ValueError(
            f"`mark` must be one of the strengths {points}; got {mark!r}. Add it to "
            "them."
        )
    return points.index(mark)


def check_curve(name, curve, *, has_points=True):
    """Return a curve whose columns are arrays of one length.

    Parameters
    ----------
    name : str
        What to call it in a message.
    curve : dict
        `x`, `y`, and intervals or None.
    has_points : bool, default=True
        Whether it says what was turned.

    Returns
    -------
    Bunch
    """
    wanted = ["x", "y", *(["points"] if has_points else [])]
    if not isinstance(curve, Mapping) or not set(wanted) <= set(curve):
        raise TypeError(
            f"`{name}` must hold {', '.join(wanted)} in a dict each; got "
            f"{type(curve).__name__}. from_estimator makes them."
        )
    curve = Bunch(**curve)
    curve.x = check_column("x", curve.x, of=f" in `{name}`")
    n_points = len(curve.x)
    curve.y = check_column("y", curve.y, n_points, of=f" in `{name}`")
    if has_points:
        curve.points = as_array("points", curve.points)
        if curve.points.shape != (n_points,):
            raise ValueError(
                f"`points` must say what was turned, {n_points} times; got shape "
                f"{curve.points.shape} in `{name}`. Pass one for every score."
            )
    for axis in ("x_interval", "y_interval"):
        ends = curve.get(axis)
        if ends is None:
            continue
        curve[axis] = as_array(axis, ends)
        if curve[axis].shape != (2, n_points) or curve[axis].dtype.kind not in "fiu":
            raise ValueError(
                f"`{axis}` must hold low and high ends, of shape (2, {n_points}); got "
                f"shape {curve[axis].shape} in `{name}`. None draws none."
            )
    return curve


def check_reference(reference, curves):
    """Return the reference point, None being the worst of all points."""
    points = np.concatenate([np.column_stack([c.x, c.y]) for c in curves])
    if np.isnan(points).any(axis=1).all():
        raise ValueError(
            "`curves` must hold a point with both scores; got NaN for all "
            f"{len(points)}. Look at `y`: somebody must have held-out items."
        )
    if reference is None:
        return tuple(np.nanmin(points, axis=0).tolist())
    both = as_array("reference", reference)
    fits = both.shape == (2,) and both.dtype.kind in "fiu"
    if not fits or not np.isfinite(both).all():
        raise ValueError(
            f"`reference` must be two finite scores (x, y); got {reference!r}. "
            "Give losses negative, as scorers do."
        )
    return tuple(float(score) for score in both)
