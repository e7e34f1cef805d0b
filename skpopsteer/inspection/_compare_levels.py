"""The best setting of every method at every level of accuracy, and what it does."""

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skpopsteer import metrics
from skpopsteer._validation import as_interactions
from skpopsteer.inspection._attribute_shares import check_attributes
from skpopsteer.inspection._compare_families import find_host, read_families
from skpopsteer.inspection._compare_measures import (
    MEASURES,
    SIGNS,
    measure_profiles,
    part_scores,
    user_thirds,
)
from skpopsteer.inspection._compare_table import LevelComparison
from skpopsteer.inspection._display_inputs import check_groups
from skpopsteer.metrics._bootstrap import check_n_boot
from skpopsteer.metrics._lists import check_count, check_split
from skpopsteer.popularity import item_popularity

__all__ = ["check_levels", "choose", "compare_levels"]

#: Lists of settings that are held until those that cannot be chosen are dropped.
_HELD = 64
_CROSSED = (
    "Each half of the users has the settings chosen on the other half, and all are "
    "reported"
)


@dataclass
class _Users:
    """Users on whom settings are chosen, in parts, and the host's lists for them."""

    X: Any
    y: Any
    user_ids: Any
    own: np.ndarray
    parts: list


def compare_levels(
    models, X, y, *, validation, levels, host, n_recommendations, groups, attributes,
    user_ids, n_boot, random_state,
):  # fmt: skip
    """Compare methods at several levels of accuracy kept.

    Parameters
    ----------
    models, X, y : see :func:`~skpopsteer.inspection.compare`
        As there, and so is all that follows.
    validation, levels, host, n_recommendations, groups, attributes : as there
    user_ids, n_boot, random_state : as there

    Returns
    -------
    LevelComparison
    """
    levels, n_boot = check_levels(levels), check_n_boot(n_boot)
    advice = "It is the length of every list."
    k = check_count("n_recommendations", n_recommendations, advice)
    host, host_name, families = find_host(read_families(models), host)
    X = as_interactions("X", X)
    if attributes is not None:
        attributes = check_attributes(attributes, X.shape[1])
    rng = check_random_state(random_state)
    popularity = item_popularity(X)
    groups = check_groups(groups)
    labels = groups.label(popularity)
    own = host.recommend(X, k, user_ids=user_ids)
    y = check_split(X, y, own)
    if validation is None:
        judged = _Users(X, y, user_ids, own, _halves(y, own, rng))
        rows = judged.parts[::-1]
    else:
        judged = _read_validation(validation, X, k, host, user_ids)
        rows = [np.arange(len(own))]
    host_scores = part_scores(judged.own, judged.y, labels, judged.parts)
    _require_hits(host_scores)
    profiles, chosen = _Profiles(own), [np.zeros((len(levels), len(MEASURES)), int)]
    for family in families:
        scores, held = _score(family, judged, host_scores, labels, levels, validation)
        choice = choose(scores, host_scores, levels)
        if validation is not None:
            held = dict(family.lists(X, k, user_ids, set(choice.ravel().tolist())))
        kept = scores[:, :, 0] / host_scores[:, 0]
        chosen.append(profiles.add(family, choice, held, kept, rows))
    seed = rng.randint(2**31 - 1)
    columns, values, draws = measure_profiles(
        profiles.lists, y, labels, user_thirds(X, popularity), attributes, n_boot, seed
    )
    return LevelComparison(
        names=[host_name, *(family.name for family in families)],
        levels=levels,
        measures=list(MEASURES),
        columns=columns,
        values=values,
        draws=draws,
        chosen=np.stack(chosen, axis=1),
        settings=profiles.settings,
        words=profiles.words,
        chosen_kept=np.array(profiles.kept),
        n_recommendations=k,
        notes=_notes(validation, len(own), k, user_ids, groups),
    )


def _notes(validation, n_users, k, user_ids, groups):
    how = _CROSSED if validation is None else "Settings are chosen on validation data"
    whose = "folded in from their rows" if user_ids is None else "trained vectors"
    return [
        f"{how}: of those that keep the level there, the best at every measure.",
        f"Lists of {k} for {n_users:,} users, {whose}; {groups}.",
    ]


def check_levels(levels):
    """Return levels of accuracy kept, the highest first.

    Parameters
    ----------
    levels : float or iterable of float
        In (0, 1].

    Returns
    -------
    tuple of float
    """
    # An array without dimensions is a number, whatever it says of being iterable.
    single = not isinstance(levels, Iterable) or isinstance(levels, np.ndarray | type)
    listed = np.ravel(levels).tolist() if single else list(levels)
    real = all(
        isinstance(one, Real) and not isinstance(one, bool) and 0 < one <= 1
        for one in listed
    )
    if not listed or not real or len(set(listed)) < len(listed):
        raise ValueError(
            "`levels` must be distinct shares of the host's NDCG, in (0, 1]; got "
            f"{levels!r}. Write 95 % as 0.95."
        )
    return tuple(sorted((float(one) for one in listed), reverse=True))


def _halves(y, own, rng):
    """Cut the users into random halves, with held-out items and without alike."""
    judged = ~np.isnan(metrics.ndcg(y, own, per_user=True))
    if judged.sum() < 2:
        raise ValueError(
            f"`y` must hold held-out items of two users at least; got {judged.sum()}. "
            "Pass more users, or `validation`."
        )
    order = rng.permutation(len(own))
    # Those with held-out items take turns first: each half gets one at least.
    order = order[np.argsort(~judged[order], kind="stable")]
    return [np.sort(order[::2]), np.sort(order[1::2])]


def _read_validation(validation, X, k, host, user_ids):
    if not isinstance(validation, tuple | list) or len(validation) not in (2, 3):
        raise ValueError(
            "`validation` must be (X, y), or (X, y, user_ids), of users to choose "
            f"settings on; got {type(validation).__name__}. None cuts `X` in halves."
        )
    seen, y, *ids = validation
    seen = as_interactions("validation[0]", seen)
    if seen.shape[1] != X.shape[1]:
        raise ValueError(
            f"`validation[0]` must have one column per item of `X` ({X.shape[1]}); got "
            f"{seen.shape[1]}. Use the same catalogue for both."
        )
    if not seen.shape[0]:
        raise ValueError(
            "`validation[0]` must have a row for a user at least; got none. None "
            "instead of `validation` cuts `X` in halves."
        )
    if not ids and user_ids is not None and seen.shape[0] != X.shape[0]:
        raise ValueError(
            "`validation` must be (X, y, user_ids) where its users are not those of "
            f"`X`; got {seen.shape[0]} rows for {X.shape[0]}. Name its trained users."
        )
    ids = ids[0] if ids else user_ids
    own = host.recommend(seen, k, user_ids=ids)
    try:
        y = check_split(seen, y, own)
    except (TypeError, ValueError) as error:
        words = str(error).replace("`y`", "`validation[1]`")
        raise type(error)(words.replace("`X`", "`validation[0]`")) from None
    return _Users(seen, y, ids, own, [np.arange(len(own))])


def _require_hits(host_scores):
    if not (host_scores[:, 0] > 0).all():
        raise ValueError(
            "`host` must find held-out items, for accuracy is a share of its NDCG; got "
            f"NDCG {host_scores[:, 0].min():.4f} where settings are chosen. Pass more "
            "users."
        )


def _score(family, judged, host_scores, labels, levels, validation):
    """Score all settings, and hold the lists that may be reported."""
    scores, held = [], {}
    k = judged.own.shape[1]
    for number, lists in family.lists(judged.X, k, judged.user_ids):
        scores.append(part_scores(lists, judged.y, labels, judged.parts))
        if validation is None:
            held[number] = lists.astype(np.int32)
        if len(held) > _HELD:
            # What others have beaten already will not be chosen later either.
            best = choose(np.array(scores), host_scores, levels)
            held = {n: one for n, one in held.items() if n in best}
    return np.array(scores), held


def choose(scores, host_scores, levels):
    """Choose settings: the best at a measure of those that keep enough accuracy.

    Parameters
    ----------
    scores : ndarray of shape (n_settings, n_parts, 1 + n_measures)
        NDCG, then the measures.
    host_scores : ndarray of shape (n_parts, 1 + n_measures)
    levels : tuple of float

    Returns
    -------
    ndarray of shape (n_levels, n_measures, n_parts), dtype int64
        Numbers of settings; -1, the host, where none keeps the level. Of equally good
        settings that with the higher NDCG, and then the first.
    """
    kept = scores[:, :, 0] / host_scores[:, 0]
    better = scores[:, :, 1:] * SIGNS
    chosen = np.full((len(levels), len(SIGNS), scores.shape[1]), -1)
    for measure, part in np.ndindex(chosen.shape[1:]):
        # Stable: the first of equals stays first.
        order = np.lexsort((-kept[:, part], -better[:, part, measure]))
        for place, level in enumerate(levels):
            able = order[kept[order, part] >= level]
            if len(able):
                chosen[place, measure, part] = able[0]
    return chosen


class _Profiles:
    """Lists that are reported, each kind once; the host's are the first.

    Parameters
    ----------
    own : ndarray of shape (n_users, k)
        Lists of the host.

    Attributes
    ----------
    lists, settings, words, kept : list
        The lists, the settings per part of the users, these in words, and the share of
        the NDCG where they were chosen.
    """

    def __init__(self, own):
        self.lists, self.settings = [own.astype(np.int32)], [()]
        self.words, self.kept = ["the host's own"], [1.0]

    def add(self, family, choice, held, kept, rows):
        """Put together the lists of all users at every level, for every measure.

        Parameters
        ----------
        family : Family
        choice : ndarray of shape (n_levels, n_measures, n_parts)
            Of :func:`choose`.
        held : dict of int to ndarray of shape (n_users, k)
            Lists at the settings chosen.
        kept : ndarray of shape (n_settings, n_parts)
            Share of the NDCG.
        rows : list of ndarray
            Users who get the settings chosen on every part.

        Returns
        -------
        ndarray of shape (n_levels, n_measures), dtype int64
            Numbers of profiles.
        """
        numbers, known = np.zeros(choice.shape[:2], dtype=np.int64), {}
        for cell in np.ndindex(numbers.shape):
            key = tuple(choice[cell].tolist())
            if key not in known:
                known[key] = self._put(family, key, held, kept, rows)
            numbers[cell] = known[key]
        return numbers

    def _put(self, family, key, held, kept, rows):
        if set(key) == {-1}:
            return 0
        lists = self.lists[0].copy()
        for number, users in zip(key, rows, strict=True):
            if number >= 0:
                lists[users] = held[number][users]
        self.lists.append(lists)
        self.settings.append(tuple(family.settings[n] if n >= 0 else () for n in key))
        words = [family.words[n] if n >= 0 else self.words[0] for n in key]
        self.words.append(" | ".join(dict.fromkeys(words)))
        shares = [kept[n, part] if n >= 0 else 1.0 for part, n in enumerate(key)]
        self.kept.append(float(np.mean(shares)))
        return len(self.lists) - 1
