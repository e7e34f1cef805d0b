"""One page to explore and turn the neurons of a steered recommender, without a server.

The page computes what Python computes: see ``templates/js``.
"""

import pathlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skpopsteer._validation import as_array, check_user_ids
from skpopsteer._whole_file import whole_file
from skpopsteer.inspection._explorer_activity import measure_activity
from skpopsteer.inspection._explorer_cards import NeuronCard, make_cards
from skpopsteer.inspection._explorer_data import page_data
from skpopsteer.inspection._explorer_page import render
from skpopsteer.inspection._explorer_steering import Sample, sample_users
from skpopsteer.inspection._explorer_view import NeuronView
from skpopsteer.metrics._lists import check_count, check_held_out
from skpopsteer.neurons._item_inputs import check_titles
from skpopsteer.steering import SteeredRecommender


@dataclass(frozen=True, eq=False)
class NeuronExplorer:
    r"""All neurons of a steered recommender, and its knobs, in one HTML file.

    The file opens from disk, without a server and without any connection. A card per
    neuron says what it fires for and what it does; sliders turn the knobs of the model,
    and any neuron by itself, for a sample of users whose lists, accuracy and exposure
    change at once.

    Make it with :meth:`from_model`.

    Parameters
    ----------
    cards : list of NeuronCard
        One per neuron, in order; plain Python values, so that
        ``dataclasses.asdict(card)`` can be written as JSON.
    data : dict of str to object
        What the page computes from.

    See Also
    --------
    explain_changes : Which neurons moved an item, for some users.
    skpopsteer.neurons.NeuronInterpreter : Where tags and their confidence come from.

    Notes
    -----
    The lists are made in the page, from embeddings, pre-activations, decoder and
    statistics of the rule: all rules of
    :class:`~skpopsteer.steering.SteeredRecommender`, both forms of `reconstruction`,
    `keep_top`, `user_strength` and item bias. They are those of ``recommend`` at the
    same strength, but for items whose scores differ by less than rounding to float32,
    which may change places. Lists of ``recommend`` at some settings go along, and the
    page says whether it comes to the same.

    The file stays below 5 MB for 2,048 neurons and 50 users, however large the
    catalogue is. Where all items do not fit (some 6,000 at 64 dimensions do) the page
    holds those that come into a list, or near one, at some position of the knobs, or
    when a neuron is turned. Of the others it knows how high they can score. It marks
    every list in which one of them might belong. At the positions of a slider that is
    alone this is hardly ever the case. Elsewhere it is rare where users are steered or
    ``rule="offset"``; with other rules for items nothing is known between the
    positions, beyond them, with several knobs turned, or with a neuron turned, and all
    lists are marked there. Of items that are shifted with 1,024 neurons some 500 fit.
    Names that would take too much of the page are shortened in it. Of an autoencoder
    with more than 64 neurons active for an item, as the default form has, those with
    the most weight can be turned by themselves, unless the catalogue is small; the
    knobs turn all.

    A host that decodes with layers of its own cannot be run in a page. Then the page
    says why, and shows the lists at the model's own strength.

    Of more than 20,000 rows as many are drawn for the cards. Time and memory are those
    of encoding these rows, and of products of their activations with their histories
    and with each other; where the items do not fit, also of scoring them all for the
    users of the page at some 160 positions of the knobs (40, each with new embeddings
    of all items, for rules that displace items).

    References
    ----------
    .. [1] J. Lin, "Neuronpedia: Interactive Reference and Tooling for Analyzing Neural
       Networks", 2023, https://www.neuronpedia.org: cards of neurons of language
       models.

    Examples
    --------
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, SteeredRecommender
    >>> from skpopsteer import as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.inspection import NeuronExplorer
    >>> X = make_interactions(200, 100, random_state=0).X
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=5, random_state=0)
    >>> model = SteeredRecommender(host, probe=probe, random_state=0).fit(X)
    >>> explorer = NeuronExplorer.from_model(model, X, random_state=0)
    >>> explorer
    NeuronExplorer(32 neurons, 50 users)
    >>> len(explorer.cards[3].histogram)
    16

    ``explorer.save("neurons.html")`` writes the page.
    """

    cards: list[NeuronCard]
    data: dict[str, Any] = field(repr=False)

    @classmethod
    def from_model(
        cls,
        model,
        X,
        y=None,
        *,
        user_ids=None,
        item_titles=None,
        user_names=None,
        item_features=None,
        n_users=50,
        random_state=None,
    ):
        """Collect what is known of the neurons, and what is needed to turn them.

        Parameters
        ----------
        model : fitted SteeredRecommender
            Or a search that has fitted one. Left as it is.
        X : array-like or sparse of shape (n_rows, n_items)
            Interactions of users.
        y : sparse of shape (n_rows, n_items), array-like of shape (n_rows,) or \
HeldOut, default=None
            Held-out interactions. Without them there is no NDCG in the page.
        user_ids : array-like of shape (n_rows,), default=None
            Positions of trained users; None folds every row in.
        item_titles : array-like of str, shape (n_items,), default=None
            What to call items; None calls them by position.
        user_names : array-like of str, shape (n_rows,), default=None
            What to call users; None calls them by `user_ids`, or by row.
        item_features : sparse, array-like, data frame, dict or tuple, default=None
            Attributes of items, as of ``NeuronInterpreter.fit``: they become the tags
            of neurons. None gives neurons no tags.
        n_users : int, default=50
            Users whose lists the page makes: drawn of those with a history, and with
            held-out items where there is a `y`.
        random_state : int, RandomState instance or None, default=None
            Seed of what is drawn.

        Returns
        -------
        NeuronExplorer

        Raises
        ------
        TypeError
            For another kind of model.
        ValueError
            For titles or names of another number than there are items or rows, and for
            rows without any interactions.
        """
        model = _fitted_model(model)
        advice = "It is how many users the page makes lists for."
        n_users = check_count("n_users", n_users, advice)
        model._validate_params()
        X = model._check_X(X)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        names = _item_names(item_titles, X.shape[1])
        users = _user_names(user_names, user_ids, X.shape[0])
        held_out = None
        if y is not None:
            lists = np.empty((X.shape[0], 0), dtype=np.int64)
            held_out = check_held_out(y, lists, X.shape[1])
        seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.default_rng(seed)
        counts = None if held_out is None else held_out.per_user()
        rows = sample_users(X, counts, n_users, rng)
        sample = Sample(model, X, user_ids, rows)
        activity = measure_activity(model, X, user_ids, rng)
        cards, notes = make_cards(
            model, activity, item_names=names, user_names=users,
            item_features=item_features, seed=seed,
        )  # fmt: skip
        data = page_data(
            model, sample, activity, cards, notes, held_out,
            item_names=names, user_names=users, rng=rng,
        )  # fmt: skip
        return cls(cards, data)

    def __repr__(self):
        n_users = len(self.data["users"]["names"])
        return f"NeuronExplorer({len(self.cards)} neurons, {n_users} users)"

    def neuron(self, neuron):
        """Show one neuron: in a notebook as HTML that needs no script, else as text.

        Parameters
        ----------
        neuron : int
            Its number.

        Returns
        -------
        NeuronView
            With ``_repr_html_`` and ``__str__``.

        Raises
        ------
        ValueError
            For a number that no neuron has.
        """
        if neuron not in range(len(self.cards)):
            raise ValueError(
                f"`neuron` must be one of 0 to {len(self.cards) - 1}; got {neuron!r}. "
                "Neurons are the columns of the probe's transform."
            )
        return NeuronView(self.cards[neuron])

    def to_html(self, *, title=None, sections=()):
        """Return the whole page.

        Parameters
        ----------
        title : str, default=None
            Any text; None says what the model is.
        sections : iterable of tuple of (str, markupsafe.Markup), default=()
            Headings and HTML to stand above the explorer, each with an entry in the
            table of contents. The HTML goes in as it is, but no script in it will run.

        Returns
        -------
        str

        Raises
        ------
        ImportError
            Without jinja2, which the extra `report` has.
        TypeError
            For a section whose HTML is a plain string: it may not be meant as HTML.
        """
        if title is None:
            title = f"Neurons of {self.data['about']['host']}"
        pairs = [(heading, html) for heading, html in sections]
        return render(self.data, self.cards, title=str(title), sections=pairs)

    def save(self, path, *, title=None, sections=()):
        """Write the page to a file: whole, or not at all.

        Parameters
        ----------
        path : str or path-like
            Where to; a file that is there is replaced.
        title, sections : see :meth:`to_html`
            As there.

        Raises
        ------
        ValueError
            For a folder that does not exist.
        ImportError
            Without jinja2, which the extra `report` has.
        """
        path = pathlib.Path(path)
        if not path.parent.is_dir():
            raise ValueError(
                f"`path` must lie in a folder that exists; got {str(path)!r}. Make the "
                "folder first."
            )
        page = self.to_html(title=title, sections=sections)
        with whole_file(path) as unfinished:
            unfinished.write_text(page, encoding="utf-8", newline="\n")


def _fitted_model(model):
    model = model.estimator if isinstance(model, FrozenEstimator) else model
    model = getattr(model, "best_estimator_", model)
    if not isinstance(model, SteeredRecommender):
        raise TypeError(
            "`model` must be a SteeredRecommender; got "
            f"{type(model).__name__}. Only a steered recommender has neurons."
        )
    check_is_fitted(model)
    return model


def _item_names(titles, n_items):
    titles = check_titles(titles, n_items)
    if titles is None:
        titles = [""] * n_items
    return [title or f"item {item}" for item, title in enumerate(titles)]


def _user_names(names, user_ids, n_rows):
    if names is None:
        ids = range(n_rows) if user_ids is None else user_ids
        return [f"user {user}" for user in ids]
    if as_array("user_names", names).ndim != 1:
        raise TypeError(
            f"`user_names` must be a list of names; got {names!r}. Pass one per row "
            "of `X`."
        )
    names = [str(name) for name in names]
    if len(names) != n_rows:
        raise ValueError(
            f"`user_names` must hold one name per row of `X` ({n_rows}); got "
            f"{len(names)}. Pass them in the order of the rows."
        )
    return names
