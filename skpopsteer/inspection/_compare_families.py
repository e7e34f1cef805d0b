"""What is compared: families of settings, and the host they all change."""

from collections.abc import Mapping

import numpy as np

from skpopsteer.inspection._tradeoff_scores import path_lists

__all__ = ["Family", "find_host", "has_strengths", "read_families"]

#: Slots of lists held at a time while a model is turned: 128 MB.
_BLOCK = 2**24
_FIXED = (None,)
#: Parameters that settings of a method do not differ by here.
_ALIKE = {"strength", "recommender", "n_recommendations"}


def has_strengths(models):
    """Tell whether any of the models is to be turned."""
    return any(isinstance(model, tuple | list) for model in models.values())


class Family:
    """Settings of one method, of which the best is chosen.

    Parameters
    ----------
    name : str
    models : list of tuple
        Fitted recommenders, with their strengths or ``(None,)``.

    Attributes
    ----------
    settings : list of tuple of (int, float)
        Position of the model and strength; None for one that is not turned.
    words : list of str
        The settings in words.
    """

    def __init__(self, name, models):
        self.name, self.models = name, models
        self.settings = [
            (place, strength)
            for place, (_, strengths) in enumerate(models)
            for strength in strengths
        ]
        labels = _labels([model for model, _ in models])
        self.words = [_word(labels[place], s) for place, s in self.settings]

    def lists(self, X, n_recommendations, user_ids, wanted=None):
        """Make the lists at some settings.

        Parameters
        ----------
        X : csr_array of shape (n_users, n_items)
        n_recommendations : int
        user_ids : array-like of shape (n_users,) or None
        wanted : collection of int, default=None
            Positions of settings; None makes all.

        Yields
        ------
        number : int
            Position of a setting.
        lists : ndarray of shape (n_users, n_recommendations)
        """
        at_once = max(1, _BLOCK // max(1, X.shape[0] * n_recommendations))
        for place, (model, strengths) in enumerate(self.models):
            numbers = [
                number
                for number, setting in enumerate(self.settings)
                if setting[0] == place and (wanted is None or number in wanted)
            ]
            if strengths == _FIXED and numbers:
                lists = model.recommend(X, n_recommendations, user_ids=user_ids)
                yield numbers[0], lists
                continue
            for start in range(0, len(numbers), at_once):
                some = numbers[start : start + at_once]
                turned = [self.settings[number][1] for number in some]
                path = path_lists(model, turned, X, n_recommendations, user_ids)
                yield from zip(some, path.values(), strict=True)


def _word(label, strength):
    words = [label, "" if strength is None else f"strength {strength:g}"]
    return ", ".join(word for word in words if word) or "as fitted"


def _labels(models):
    """Tell the models of a family apart, by what they were made with if that does."""
    if len(models) == 1:
        return [""]
    params = [
        model.get_params(deep=False) if hasattr(model, "get_params") else {}
        for model in models
    ]
    plain = (int, float, str, type(None))
    varying = [
        name
        for name in sorted(set().union(*params) - _ALIKE)
        if all(isinstance(one.get(name), plain) for one in params)
        and len({one.get(name) for one in params}) > 1
    ]
    labels = [
        ", ".join(f"{name}={one[name]}" for name in varying if name in one)
        for one in params
    ]
    classes = [type(model).__name__ for model in models]
    if len(set(classes)) > 1:
        pairs = zip(classes, labels, strict=True)
        labels = [f"{kind} {label}".rstrip() for kind, label in pairs]
    if len(set(labels)) < len(models):
        return [f"model {place + 1}" for place in range(len(models))]
    return labels


def read_families(models):
    """Validate what is compared.

    Parameters
    ----------
    models : dict of str to recommender, tuple or list
        See :func:`~skpopsteer.inspection.compare`.

    Returns
    -------
    list of Family
    """
    return [Family(str(name), _members(name, one)) for name, one in models.items()]


def _members(name, given):
    members = given if isinstance(given, list) else [given]
    if not members:
        raise ValueError(
            f"`models` must hold a recommender at least for every name; got an empty "
            f"list for {name!r}. Write [(model, [0, 0.1])]."
        )
    return [_member(name, member) for member in members]


def _member(name, member):
    if not isinstance(member, tuple):
        return _check_model(name, member, "recommend"), _FIXED
    if len(member) != 2:
        raise ValueError(
            f"`models` must hold pairs (model, strengths); got a tuple of "
            f"{len(member)} for {name!r}. Write (model, [0, 0.1])."
        )
    model, strengths = member
    model = getattr(model, "best_estimator_", model)
    return _check_model(name, model, "_path"), _distinct(name, strengths)


def _check_model(name, model, method):
    if not hasattr(model, method):
        what = "with a strength, to be turned" if method == "_path" else "or pairs"
        raise TypeError(
            f"`models` must hold fitted recommenders {what}; got "
            f"{type(model).__name__} for {name!r}. Write (model, [0, 0.1])."
        )
    return model


def _distinct(name, strengths):
    try:
        numbers = np.asarray(strengths, dtype=np.float64).ravel().tolist()
    except (TypeError, ValueError):
        numbers = []
    if not numbers or isinstance(strengths, Mapping):
        raise ValueError(
            f"`models` must hold pairs (model, strengths) of one number at least; got "
            f"{strengths!r} for {name!r}. Write (model, [0, 0.1])."
        )
    # In the given order: a strength that is named twice is one setting.
    return tuple(dict.fromkeys(numbers))


def find_host(families, host):
    """Find the host of all, and what its row is called.

    Parameters
    ----------
    families : list of Family
    host : fitted recommender or None
        The caller's choice.

    Returns
    -------
    host : fitted recommender
    name : str
    others : list of Family
        Without the one that is the host itself.
    """
    if host is None:
        host = _only_host(families)
    elif not hasattr(host, "recommend"):
        raise TypeError(
            f"`host` must be a fitted recommender; got {type(host).__name__}. Wrap a "
            "trained model in as_recommender."
        )
    others = [one for one in families if not _is_host(one, host)]
    named = [one.name for one in families if one not in others]
    name, taken = [*named, "host"][0], [one.name for one in others]
    if name in taken or len(set(taken)) < len(taken):
        raise ValueError(
            "`models` must have a name of its own for every method, and 'host' is the "
            f"host's; got {', '.join(taken)}. Choose other names."
        )
    return host, name, others


def _is_host(family, host):
    (model, strengths), *more = family.models
    return model is host and strengths == _FIXED and not more


def _only_host(families):
    models = [model for family in families for model, _ in family.models]
    hosts = [getattr(model, "recommender_", None) for model in models]
    hosts = list({id(host): host for host in hosts if host is not None}.values())
    if len(hosts) != 1:
        got = "none" if not hosts else f"{len(hosts)} different ones"
        raise ValueError(
            f"`host` must be given where `models` do not share one; got {got}. Write "
            "host=model: accuracy is a share of its NDCG."
        )
    return hosts[0]
