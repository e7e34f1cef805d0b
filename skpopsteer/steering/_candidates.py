"""Fit candidates fold by fold, each at the strength found on the other folds."""

import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skpopsteer.steering._strength_search import Curve, find_strength

__all__ = [
    "Users",
    "compare_candidates",
    "fit_on",
    "shared_memory",
    "tune",
    "with_seed",
]


@dataclass
class Users:
    """Rows to fit on and to judge by, sliced together.

    Attributes
    ----------
    X : csr_array of shape (n_users, n_items)
    y : HeldOut of length n_users
    user_ids : ndarray of shape (n_users,) or None
    fit_params : dict
        What else ``fit`` is given; not sliced.
    """

    X: Any
    y: Any
    user_ids: Any
    fit_params: dict

    def __getitem__(self, rows):
        """Cut to some users."""
        user_ids = None if self.user_ids is None else self.user_ids[rows]
        return Users(self.X[rows], self.y[rows], user_ids, self.fit_params)


def fit_on(estimator, users):
    """Fit an estimator, with the ids and the held-out items if it reads them."""
    params = dict(users.fit_params)
    if get_tags(estimator).target_tags.required:
        params["y"] = users.y
    if users.user_ids is not None and has_fit_parameter(estimator, "user_ids"):
        params["user_ids"] = users.user_ids
    return estimator.fit(users.X, **params)


def tune(model, users, search):
    """Find the strength of a fitted model; return what was found and the curve."""
    curve = Curve(model, users.X, users.y, search.goal, users.user_ids)
    floor = search.floor(model, users)
    strength, reached = find_strength(curve, floor, search.strengths, search.tol)
    return strength, reached, floor, curve


def compare_candidates(estimator, candidates, users, folds, search, n_jobs):
    """Tune every candidate on the training rows of every fold, score it on the others.

    Parameters
    ----------
    estimator : estimator
        Left unfitted.
    candidates : list of dict
        Parameters.
    users : Users
    folds : list of tuple of ndarray
    search : Search
    n_jobs : int or None

    Returns
    -------
    dict
        What ``cv_results_`` holds.
    """
    # Candidates inside folds: neighbours in time share what the memory holds.
    rows = Parallel(n_jobs=n_jobs)(
        delayed(_tune_fold)(
            clone(estimator).set_params(**params), users, train, test, search
        )
        for train, test in folds
        for params in candidates
    )
    table = np.array(rows, dtype=np.float64)
    table = table.reshape(len(folds), len(candidates), -1).swapaxes(0, 1)
    return _as_results(candidates, *np.moveaxis(table, -1, 0))


def _tune_fold(estimator, users, train, test, search):
    model = fit_on(estimator, users[train])
    strength, _, floor, curve = tune(model, users[train], search)
    held_out = users[test]
    lists = model._lister(
        held_out.X, search.goal.length(model), held_out.user_ids
    )(strength)  # fmt: skip
    scores = search.goal.scores(model, held_out.X, held_out.y, lists)
    return strength, curve.shortfall(strength, floor), *scores


def _as_results(candidates, strengths, shortfalls, objectives, constraints):
    """Arrange tables of shape (n_candidates, n_folds) as scikit-learn does."""
    results = {"params": candidates}
    for name in sorted({name for params in candidates for name in params}):
        results[f"param_{name}"] = [params.get(name) for params in candidates]
    results["mean_strength"] = strengths.mean(axis=1)
    results["mean_shortfall"] = shortfalls.mean(axis=1)
    results["reached"] = (shortfalls == 0).all(axis=1)
    for name, table in [("objective", objectives), ("constraint", constraints)]:
        for fold, column in enumerate(table.T):
            results[f"split{fold}_test_{name}"] = column
        results[f"mean_test_{name}"] = table.mean(axis=1)
        results[f"std_test_{name}"] = table.std(axis=1)
    return results


def with_seed(estimator, rng):
    """Clone with an int for a seed: candidates must differ by parameters only."""
    estimator = clone(estimator)
    params = estimator.get_params(deep=False)
    if "random_state" in params and not isinstance(params["random_state"], Integral):
        estimator.set_params(random_state=int(rng.randint(np.iinfo(np.int32).max)))
    return estimator


@contextmanager
def shared_memory(estimator):
    """Lend a memory to an estimator that takes one and has none."""
    if estimator.get_params(deep=False).get("memory", "") is not None:
        yield estimator
        return
    with tempfile.TemporaryDirectory(prefix="skpopsteer-") as folder:
        yield clone(estimator).set_params(memory=folder)
