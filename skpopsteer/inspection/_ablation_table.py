"""What became of the lists when neurons were turned: text, HTML and frames."""

from dataclasses import dataclass
from html import escape
from textwrap import wrap

import numpy as np

from skpopsteer._compat import import_frame_library
from skpopsteer._text_table import align_columns

__all__ = ["Ablation"]

#: Order of the second axis of the tables.
_ROWS = ("active", "inactive")
_HEADER = ["before", "after", "change", "controls", "p"]
#: Shares of attributes, and items, shown in text and HTML; frames have all.
_N_SHOWN = 5


@dataclass(frozen=True, repr=False, eq=False)
class Ablation:
    """Table of :func:`ablate_neurons`: prints as text, shows as HTML, becomes a frame.

    The second axis of tables is "active", rows where a neuron fires, and "inactive",
    all others. Figures that have no rows are NaN.

    Parameters
    ----------
    names : list of str of length n_groups
        What the neurons, or groups of neurons, are called.
    neurons : list of tuple of int
        Neurons of every group.
    measures : list of str of length n_measures
        ``"overlap@10"`` (share of a list that stays), ``"top-1 unchanged"``, ``"score
        change"`` (mean absolute, over all items), ``"ndcg@10"`` where held-out items
        were given, and ``"share of ..."`` for attributes of items.
    n_rows : ndarray of shape (n_groups, 2)
        Number of rows.
    before, after : ndarray of shape (n_groups, 2, n_measures)
        Means over the rows. Before, lists overlap with themselves: 1 and 0 change.
    controls : list of list of tuple of int
        Neurons each group is compared with.
    control_changes : ndarray of shape (n_groups, n_controls, 2, n_measures)
        What turning a control changes, on the rows where that control fires and on all
        others. NaN where there are fewer controls.
    levels : ndarray of shape (n_groups,)
        What controls were to equal, summed over the neurons of a group.
    control_levels : ndarray of shape (n_groups, n_controls)
        The same of the controls.
    level_name : str
        ``"mean activation"`` over all rows, or ``"peak"`` where neurons are held.
    promoted, demoted : ndarray of shape (n_groups, n)
        Items whose scores the neurons raise most and lower most, in order.
    promoted_effects, demoted_effects : ndarray of shape (n_groups, n)
        By how much.
    titles : list of str of length n_items
        What items are called.
    effects_are : str
        How the effects on items were found, and their unit.
    conventions : str
        What was done to the neurons, and how it was measured.

    See Also
    --------
    ablate_neurons : Makes one.

    Examples
    --------
    The one neuron there is reads the first column of the embeddings, which the first
    user and the first item have most of.

    >>> import numpy as np
    >>> from sklearn.decomposition import NMF
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.inspection import ablate_neurons
    >>> U = np.array([[1.0, 0.2], [0.0, 0.3]], dtype=np.float32)
    >>> host = as_recommender((U, np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 0.1]])))
    >>> probe = NMF(1, random_state=0).fit(np.array([[1, 0]], dtype=np.float32))
    >>> table = ablate_neurons(
    ...     host, np.zeros((2, 3)), probe=probe, neurons=0, user_ids=[0, 1],
    ...     n_recommendations=1, item_titles=["a", "b", "c"], n_controls=0,
    ... )
    >>> table["top-1 unchanged"]
    array([[-1.,  0.]])
    >>> [table.titles[item] for item in table.promoted[0]]
    ['a', 'c', 'b']
    """

    names: list[str]
    neurons: list[tuple[int, ...]]
    measures: list[str]
    n_rows: np.ndarray
    before: np.ndarray
    after: np.ndarray
    controls: list[list[tuple[int, ...]]]
    control_changes: np.ndarray
    levels: np.ndarray
    control_levels: np.ndarray
    level_name: str
    promoted: np.ndarray
    demoted: np.ndarray
    promoted_effects: np.ndarray
    demoted_effects: np.ndarray
    titles: list[str]
    effects_are: str
    conventions: str

    @property
    def changes(self):
        """What turning the neurons changes (n_groups, 2, n_measures)."""
        return self.after - self.before

    @property
    def p_values(self):
        """Rank of the size of each change among the controls, as a p-value.

        ``(1 + m) / (1 + n)``, where m of n controls change the measure at least as
        much, up or down (n_groups, 2, n_measures). NaN without controls.
        """
        own = np.abs(self.changes)[:, None]
        others = np.abs(self.control_changes)
        n_controls = (~np.isnan(others)).sum(axis=1)
        # Means of equal values may differ in their last bits.
        n_larger = (others >= own * (1 - 1e-12)).sum(axis=1)
        known = (n_controls > 0) & ~np.isnan(self.changes)
        return np.where(known, (1 + n_larger) / (1 + n_controls), np.nan)

    def __getitem__(self, measure):
        """Return the change of one measure (n_groups, 2), by name."""
        if measure not in self.measures:
            raise KeyError(
                f"`measure` must be one of {', '.join(self.measures)}; got {measure!r}."
            )
        return self.changes[:, :, self.measures.index(measure)]

    def to_frame(self, backend="pandas"):
        """Return all figures as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per group of neurons, kind of rows and measure.
        """
        frames = import_frame_library(backend)
        shape = self.before.shape
        group, kind, measure = (index.ravel() for index in np.indices(shape))
        means, deviations = self._control_statistics()
        return frames.DataFrame(
            {
                "neurons": [self.names[place] for place in group],
                "rows": [_ROWS[place] for place in kind],
                "n_rows": self.n_rows[group, kind],
                "measure": [self.measures[place] for place in measure],
                "before": self.before.ravel(),
                "after": self.after.ravel(),
                "change": self.changes.ravel(),
                "control_mean": means.ravel(),
                "control_std": deviations.ravel(),
                "p_value": self.p_values.ravel(),
            }
        )

    def items_to_frame(self, backend="pandas"):
        """Return the items that neurons promote and demote most as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars"}, default="pandas"
            Library of the frame.

        Returns
        -------
        DataFrame
            One row per group of neurons, direction and item, strongest first.
        """
        frames = import_frame_library(backend)
        n_groups, n_items = self.promoted.shape
        items = np.hstack([self.promoted, self.demoted]).ravel()
        directions = np.repeat(["promotes", "demotes"], n_items)
        return frames.DataFrame(
            {
                "neurons": np.repeat(self.names, 2 * n_items).tolist(),
                "direction": np.tile(directions, n_groups).tolist(),
                "item": items,
                "title": [self.titles[item] for item in items],
                "effect": np.hstack(
                    [self.promoted_effects, self.demoted_effects]
                ).ravel(),
            }
        )

    def __repr__(self):
        return f"Ablation({', '.join(self.names)})"

    def __str__(self):
        lines = []
        for group in range(len(self.names)):
            lines.append(self._headline(group))
            for kind in range(len(_ROWS)):
                heading, body = self._section(group, kind)
                if not body:
                    lines.append(heading)
                    continue
                table = [[heading, *_HEADER], *body]
                lines += [f"  {line}" for line in align_columns(table)[0]]
            for line in self._item_lines(group):
                lines += wrap(line, 88, subsequent_indent="  ")
            lines.append("")
        return "\n".join([*lines, *wrap(f"({self.conventions})", 88)])

    def _repr_html_(self):
        parts = []
        for group in range(len(self.names)):
            body = ""
            for kind in range(len(_ROWS)):
                heading, rows = self._section(group, kind)
                header = _HEADER if rows else []
                body += _html_row("th", [heading, *header])
                body += "".join(_html_row("td", row) for row in rows)
            caption = escape(self._headline(group))
            parts.append(
                f"<table><caption>{caption}</caption><tbody>{body}</tbody></table>"
            )
            parts += [f"<p>{escape(line)}</p>" for line in self._item_lines(group)]
        return "".join([*parts, f"<p>({escape(self.conventions)})</p>"])

    def _headline(self, group):
        n_active, n_rows = self.n_rows[group, 0], self.n_rows[group].sum()
        level = f"{self.level_name} {self.levels[group]:.3g}"
        others = self.control_levels[group, : len(self.controls[group])]
        if len(others):
            span = f"{others.min():.3g} to {others.max():.3g}"
            level += f" ({len(others)} controls: {span})"
        return f"{self.names[group]}: fires in {n_active} of {n_rows} rows, {level}"

    def _section(self, group, kind):
        """Return the heading of a kind of rows, and the cells of what is shown."""
        heading = f"{_ROWS[kind]} rows ({self.n_rows[group, kind]})"
        changes = self.changes[group, kind]
        if not self.n_rows[group, kind]:
            return heading, []
        if not changes[~np.isnan(changes)].any():
            return f"{heading}: unchanged", []
        means, deviations = (part[group, kind] for part in self._control_statistics())
        p_values = self.p_values[group, kind]
        rows = []
        for place in self._shown(group):
            cells = ["", ""]
            if not np.isnan(p_values[place]):
                spread = f"{means[place]:+.4f} ± {deviations[place]:.4f}"
                cells = [spread, f"{p_values[place]:.3f}"]
            before, after = self.before[group, kind], self.after[group, kind]
            rows.append(
                [
                    self.measures[place],
                    f"{before[place]:.4f}",
                    f"{after[place]:.4f}",
                    f"{changes[place]:+.4f}",
                    *cells,
                ]
            )
        return heading, rows

    def _shown(self, group):
        """Return all measures but of the attributes those only that moved most."""
        is_share = np.array([name.startswith("share of ") for name in self.measures])
        size = np.nan_to_num(np.abs(self.changes[group])).max(axis=0)
        shares = np.flatnonzero(is_share)
        most = shares[np.argsort(-size[shares], kind="stable")[:_N_SHOWN]]
        return [*np.flatnonzero(~is_share), *most[size[most] > 0]]

    def _item_lines(self, group):
        for verb in ("promoted", "demoted"):
            items = getattr(self, verb)[group][:_N_SHOWN]
            effects = getattr(self, f"{verb}_effects")[group]
            named = [
                f"{self.titles[item]} ({effect:+.3g})"
                for item, effect in zip(items, effects, strict=False)
            ]
            if named:
                yield f"{verb} ({self.effects_are}): {', '.join(named)}"

    def _control_statistics(self):
        """Return means and deviations of what the controls change, as `changes`."""
        known = ~np.isnan(self.control_changes)
        n_known = known.sum(axis=1)
        values = np.where(known, self.control_changes, 0)
        undefined = np.full(self.before.shape, np.nan)
        means = np.divide(
            values.sum(axis=1), n_known, out=undefined.copy(), where=n_known > 0
        )
        squares = np.where(known, (values - means[:, None]) ** 2, 0).sum(axis=1)
        # One control has no deviation.
        variance = np.divide(
            squares, n_known - 1, out=undefined.copy(), where=n_known > 1
        )
        return means, np.sqrt(variance)


def _html_row(tag, cells):
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
