"""Render the page: templates, style and script of the package, and the data."""

from functools import cache
from importlib import resources
from typing import Any

from skpopsteer._compat import import_optional
from skpopsteer.inspection._explorer_encoding import (
    as_json,
    content_security_policy,
    join_modules,
)

__all__ = ["card_columns", "render", "static_bytes"]

#: Modules of the script, each after those it imports.
_MODULES = [
    "decode", "topk", "knobs", "rules", "sides", "offsets", "rest", "engine", "metrics",
    "dom", "theme", "histogram", "controls", "results", "cards", "catalogue", "main",
]  # fmt: skip
#: Digits of the figures of a card in the page.
_DIGITS = 4


def render(data, cards, *, title, sections):
    """Write the page.

    Parameters
    ----------
    data : dict of str to object
        All but the cards.
    cards : list of NeuronCard
    title : str
        Any text.
    sections : list of tuple of (str, markupsafe.Markup)
        Headings, and HTML that stands above the explorer.

    Returns
    -------
    str
    """
    jinja2 = import_optional("jinja2", "report")
    markup = import_optional("markupsafe", "report").Markup
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page": _read("explorer.html")}),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    checked = [(str(heading), _as_markup(markup, html)) for heading, html in sections]
    script, style = _script(), _read("explorer.css")
    foreign = "".join(html for _, html in checked)
    return environment.get_template("page").render(
        title=title,
        about=data["about"],
        n_sampled=len(data["users"]["names"]),
        sections=checked,
        style=markup(style),
        script=markup(script),
        policy=content_security_policy(script, style, foreign),
        data=markup(as_json({**data, "cards": card_columns(cards)})),
    )


def _as_markup(markup, html):
    if not hasattr(html, "__html__"):
        raise TypeError(
            "`sections` must hold pairs (heading, markupsafe.Markup); got "
            f"{type(html).__name__}. Wrap HTML you trust: Markup(html)."
        )
    return markup(html)


def static_bytes():
    """Return the bytes of a page without any data."""
    parts = _script(), _read("explorer.css"), _read("explorer.html")
    return sum(len(part.encode()) for part in parts)


@cache
def _script():
    return join_modules([_read(f"js/{name}.js") for name in _MODULES])


@cache
def _read(name):
    folder = resources.files("skpopsteer.inspection") / "templates"
    return folder.joinpath(*name.split("/")).read_text(encoding="utf-8")


def card_columns(cards):
    """Return the cards as columns of short numbers, without the names of items.

    Parameters
    ----------
    cards : list of NeuronCard

    Returns
    -------
    dict of str to list
    """
    columns: dict[str, list[Any]] = {}
    for name in ("neuron", "label", "tags", "interpretable", "n_active", "is_dead"):
        columns[name] = [getattr(card, name) for card in cards]
    for name in (
        "confidence", "null_confidence", "mean_activation", "peak_activation",
        "popularity_score", "stability",
    ):  # fmt: skip
        columns[name] = [_short(getattr(card, name)) for card in cards]
    columns["histogram"] = [card.histogram for card in cards]
    columns["weights"] = [[_short(w) for w in card.weights.values()] for card in cards]
    for name in ("top_items", "pushed_up", "pushed_down", "top_users", "cofiring"):
        columns[name] = [
            [[one.position, _short(one.value)] for one in getattr(card, name)]
            for card in cards
        ]
    return columns


def _short(value):
    return None if value is None else float(f"{value:.{_DIGITS}g}")
