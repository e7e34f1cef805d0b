"""A neuron in a notebook: HTML without a script, and text."""

from dataclasses import dataclass
from html import escape

from skpopsteer.inspection._explorer_cards import NeuronCard

__all__ = ["NeuronView"]

_WIDTH, _HEIGHT = 224, 56
_LISTS = [
    ("top_items", "Fires for"),
    ("top_users", "Users"),
    ("pushed_up", "Pushes up"),
    ("pushed_down", "Pushes down"),
    ("cofiring", "Fires together with"),
]
_SHOWN = 5


@dataclass(frozen=True)
class NeuronView:
    """One neuron, as text and as HTML.

    Parameters
    ----------
    card : NeuronCard
        What is known of it.
    """

    card: NeuronCard

    def __str__(self):
        lines = [self._heading(), *(f"  {n}: {v}" for n, v in self._figures())]
        for name, heading in _LISTS:
            ranked = getattr(self.card, name)[:_SHOWN]
            if ranked:
                lines.append(f"  {heading}:")
                lines += [f"    {one.value:>8.3g}  {one.name}" for one in ranked]
        return "\n".join(lines)

    def _repr_html_(self):
        figures = "".join(
            f"<tr><th scope='row' style='text-align:left'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self._figures()
        )
        lists = "".join(
            self._list(heading, getattr(self.card, name)) for name, heading in _LISTS
        )
        return (
            "<div style='max-width:60em;font-family:sans-serif'>"
            f"<h4 style='margin:0 0 .5em'>{escape(self._heading())}</h4>"
            f"{self._histogram()}<table>{figures}</table>"
            f"<div style='display:flex;flex-wrap:wrap;gap:0 2em'>{lists}</div></div>"
        )

    def _heading(self):
        card = self.card
        return f"Neuron {card.neuron}" + (f": {card.label}" if card.label else "")

    def _figures(self):
        """Yield names and values of what is known."""
        card = self.card
        kind = "users" if card.side == "user" else "items"
        share = card.n_active / card.n_rows
        yield "fires for", f"{card.n_active} of {card.n_rows} {kind} ({share:.1%})"
        if card.n_active:
            mean, peak = card.mean_activation, card.peak_activation
            yield "activation", f"mean {mean:.3g}, peak {peak:.3g}"
        if card.tags:
            yield "tags", ", ".join(card.tags)
        if card.confidence is not None:
            yield "confidence", f"{card.confidence:.2f}"
        if card.popularity_score is not None:
            yield "popularity score", f"{card.popularity_score:+.2f}"
        for name, weight in card.weights.items():
            yield f"weight in {name}", f"{weight:+.3f}" if weight else "not selected"
        if card.stability is not None:
            yield "stability", f"{card.stability:.2f}"
        if card.is_dead:
            yield "state", "never fired in training"

    def _list(self, heading, ranked):
        if not ranked:
            return ""
        rows = "".join(
            f"<li>{escape(one.name)} <small>{one.value:.3g}</small></li>"
            for one in ranked[:_SHOWN]
        )
        return (
            f"<div><b>{escape(heading)}</b>"
            f"<ol style='margin:.2em 0 .8em;padding-left:1.6em'>{rows}</ol></div>"
        )

    def _histogram(self):
        counts = self.card.histogram
        highest, step = max([*counts, 1]), _WIDTH / max(1, len(counts))
        bars = "".join(
            f"<rect x='{i * step:.1f}' y='{_HEIGHT * (1 - count / highest):.1f}' "
            f"width='{step - 1:.1f}' height='{_HEIGHT * count / highest:.1f}'/>"
            for i, count in enumerate(counts)
        )
        words = (
            f"Histogram of the activation where it fires, from 0 to "
            f"{self.card.peak_activation:.3g}"
        )
        return (
            f"<svg role='img' aria-label='{words}' width='{_WIDTH}' height='{_HEIGHT}' "
            f"viewBox='0 0 {_WIDTH} {_HEIGHT}' fill='#0f766e'>"
            f"<title>{words}</title>{bars}</svg>"
        )
