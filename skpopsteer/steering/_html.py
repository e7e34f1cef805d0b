"""What a notebook shows of a steered recommender, below its diagram."""

from html import escape

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from skpopsteer.neurons._union import knobs_of

__all__ = ["PanelMixin", "host_words", "panel_rows"]

#: Neurons of either sign that are named.
_SHOWN = 3
#: Parameters of adapters that are the model itself.
_TRAINED = ("model", "decomposition", "module")
#: Longest label of a neuron.
_LONGEST = 40
_SIDES = (("user", "probe_", "selector_"), ("item", "item_probe_", "item_selector_"))


class PanelMixin:
    """Mixin that puts a few facts below the diagram of a fitted model.

    It stands before :class:`~sklearn.base.BaseEstimator`, whose methods it extends.
    """

    def _repr_html_inner(self):
        return super()._repr_html_inner() + _panel(self)

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        # Absent where the user has asked scikit-learn for text.
        if "text/html" in bundle:
            bundle["text/html"] += _panel(self)
        return bundle


def panel_rows(model):
    """Collect what the panel says.

    Parameters
    ----------
    model : SteeredRecommender

    Returns
    -------
    list of tuple of (str, str)
        Plain text, not escaped; empty before ``fit``.
    """
    try:
        check_is_fitted(model)
    except NotFittedError:
        return []
    host = f"{host_words(model.recommender_)}, {model.n_features_in_:,} items"
    rows = [("Host", host), ("Knob", _knob(model))]
    for side, probe, selector in _SIDES:
        if model.side_ in (side, "both"):
            rows += _side(side, getattr(model, probe), getattr(model, selector))
    return [*rows, ("Nothing turned", _pass_through(model))]


def _panel(model):
    try:
        rows = panel_rows(model)
    except Exception:
        # Parts may be anything with the right methods, and what a notebook shows must
        # not depend on their being in order.
        return ""
    if not rows:
        return ""
    body = "".join(
        f'<tr><th scope="row" style="text-align:left;padding-right:1em">'
        f'{escape(name)}</th><td style="text-align:left">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f'<table class="skpopsteer-panel"><tbody>{body}</tbody></table>'


def host_words(host):
    """Name a host, and the trained model it holds.

    Parameters
    ----------
    host : fitted recommender

    Returns
    -------
    str
        Names of classes only: what a model prints may tell of the machine.
    """
    host = getattr(host, "estimator", host)
    held = (getattr(host, name, None) for name in _TRAINED)
    trained = [type(one).__name__ for one in held if one is not None]
    name = type(host).__name__
    return f"{name} ({trained[0]})" if trained else name


def _knob(model):
    strength = f"strength {model.strength:g}"
    if model.unpopular_strength is not None:
        strength += f" ({model.unpopular_strength:g} for unpopular profiles)"
    return f"rule {model.rule_!r}, {strength}, side {model.side_!r}"


def _side(side, probe, selector):
    turned = sum(strength * weights for strength, weights in knobs_of(selector))
    labels = getattr(probe, "neuron_labels_", {})
    n_turned = int(np.count_nonzero(turned))
    of = f"{n_turned:,} of {len(turned):,} neurons of {side}s"
    rows = [("Turned", of)]
    order = np.argsort(turned, kind="stable")
    for word, ends in (("down", order[:_SHOWN]), ("up", order[::-1][:_SHOWN])):
        sign = -1 if word == "down" else 1
        named = [_neuron(j, turned, labels) for j in ends if sign * turned[j] > 0]
        if named:
            rows.append((f"Furthest {word}", ", ".join(named)))
    return rows


def _neuron(j, turned, labels):
    label = str(labels.get(int(j), ""))
    if len(label) > _LONGEST:
        label = f"{label[: _LONGEST - 1]}…"
    return f"{int(j)}{f' {label!r}' if label else ''} ({turned[j]:+.2f})"


def _pass_through(model):
    if model.reconstruction == "residual":
        words = "the host's own lists"
    else:
        words = "the lists of the reconstruction"
    explained = [
        f"{100 * (1 - probe.fvu_):.1f} % of the variance of {side}s"
        for side, name, _ in _SIDES
        if hasattr(probe := getattr(model, name, None), "fvu_")
    ]
    if explained:
        words += f"; the autoencoder explains {' and '.join(explained)}"
    return words
