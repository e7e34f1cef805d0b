"""What neurons mean: a dictionary of concepts, checked on rows it was not made of."""

import warnings
from numbers import Integral, Real

import numpy as np
from scipy.sparse import csc_array
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array, check_random_state

from skpopsteer._compat import (
    EstimatorMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from skpopsteer._validation import (
    as_array,
    check_interactions,
    check_popularity,
    check_user_ids,
)
from skpopsteer.neurons._case_selection import select_cases
from skpopsteer.neurons._cases import ShownItems
from skpopsteer.neurons._concept_table import tabulate_concepts
from skpopsteer.neurons._describers import EnrichmentDescriber, TfidfDescriber
from skpopsteer.neurons._descriptions import describe_neurons
from skpopsteer.neurons._enriched_attributes import enriched_attributes
from skpopsteer.neurons._item_inputs import (
    check_items,
    check_titles,
    count_items,
    read_attributes,
)
from skpopsteer.neurons._row_items import (
    as_activations,
    encode_activations,
    items_of_rows,
    read_host,
    times_of_rows,
)
from skpopsteer.neurons._verification import verify
from skpopsteer.popularity import item_popularity as count_popularity

_DESCRIBERS = {"enrichment": EnrichmentDescriber, "tfidf": TfidfDescriber}
#: Distinct items shown, per case, below which hardly any neuron can be told by them.
_FEW_ITEMS = 20


class NeuronInterpreter(EstimatorMixin, BaseEstimator):
    """Describe what every neuron responds to, and check the descriptions.

    A neuron is described from the items of rows where it fires most, and the
    description is then asked where else the neuron fires. How often it is right is the
    confidence in it (RecSAE's concept dictionary [1]_).

    Parameters
    ----------
    recommender : fitted host or fitted SteeredRecommender, default=None
        What ``as_recommender(model)`` returned: with ``encode_users`` and
        ``recommend``. Of a steered recommender its host is read, without steering. Only
        :meth:`fit` needs it.
    probe : fitted probe, default=None
        Anything with ``transform`` from embeddings to activations. None takes the probe
        of the steered recommender. ``clone`` of the interpreter takes the training from
        it, unless it is wrapped in FrozenEstimator.
    describer : {"enrichment", "tfidf"} or object, default="enrichment"
        ``"enrichment"``: attributes more frequent than elsewhere
        (:class:`EnrichmentDescriber`). ``"tfidf"``: words of titles and attributes
        (:class:`TfidfDescriber`). A language model or a person goes through
        :class:`CallableDescriber`. Any object with ``describe(cases)`` and
        ``predict(concept, cases)`` will do, see Notes.
    which_item : {"top1_recommended", "last_input", "target"}, \
default="top1_recommended"
        The item that stands for a row: the host's first unseen item, the latest item of
        the row, or a held-out one (of several one at random, so that a row is one
        case). Rows without one are left out.
    n_cases : int, default=5
        N: active rows to describe a neuron from, and as many others to check the
        description on; each time with as many inactive rows.
    distinct_items : bool, default=True
        No item appears twice among the cases of a neuron. Otherwise about half of the
        confidence may be the same item coming back.
    match_popularity : bool, default=False
        Pair every active row with an inactive one whose item is about as popular.
    threshold : float, default=0.8
        Confidence from which a neuron counts as interpretable.
    fdr : float, default=0.05
        False discovery rate of the enriched attributes, over all neurons and
        attributes.
    neurons : array-like of int, default=None
        Neurons to interpret; None is all.
    n_permutations : int, default=1
        How often every description is tried on the cases of another neuron; 0 for no
        such comparison.
    random_state : int, RandomState instance or None, default=None
        Seed of the cases and permutations.

    Attributes
    ----------
    concepts_ : ConceptTable
        One row per neuron asked for: label, attributes, figures, status and, for
        neurons that are not verified, the reason. Prints, shows as HTML, and becomes a
        frame.
    confidence_, recall_, specificity_, auc_ : ndarray of shape (n_neurons,)
        How well the description predicts; confidence is the mean of recall and
        specificity. NaN where a neuron was not verified.
    null_confidence_ : ndarray of shape (n_neurons,)
        Confidence of the description on the cases of other neurons, mean over
        permutations.
    chance_ : ndarray of shape (n_neurons,)
        Probability that a toss-up per case reaches the threshold.
    interpretable_ : ndarray of shape (n_neurons,), dtype bool
        Confidence of at least `threshold`.
    interpretable_share_ : float
        Share of them among the verified neurons; NaN without any.
    null_interpretable_share_ : float
        The same share for descriptions tried on other neurons.
    chance_share_ : float
        Share to be expected of toss-ups, mean of `chance_`.
    labels_ : dict of int to str
        Labels of the neurons described, as ``probe.label_neurons`` takes them.
    n_distinct_items_ : int
        Different items that stand for the rows.
    n_neurons_ : int
        Number of neurons of the probe.
    describer_ : object
        The fitted describer.
    n_features_in_ : int
        Number of items, after :meth:`fit`.

    Warns
    -----
    UserWarning
        When the rows show too few different items to tell neurons apart by, and when
        the describer fails on some neurons.

    See Also
    --------
    PopularityNeuronSelector : Neurons that carry popularity.
    skpopsteer.sae.SparseAutoencoderProbe.label_neurons : Use the labels.

    Notes
    -----
    *Cases.* The activation level of a row is the decile of its activation among those
    of the same neuron, 1 to 10; 0 is inactive. The 2N rows of highest activation among
    those of level 5 and more are split at random: N for construction, N for
    verification, and likewise 2N inactive rows. A neuron with fewer rows (or fewer
    distinct items) is *unverified*: it gets no label and NaN for figures.

    *Verification.* The describer predicts a level for every verification case without
    seeing the activation; above 5 it says that the neuron fires. Recall is the share of
    active cases it finds, specificity the share of inactive ones it rejects,
    confidence their mean: a constant answer has exactly .5. AUC compares the levels of
    active and inactive cases. Predictions that are no level are missing: neither right
    nor wrong. Confidence over so few cases is coarse, so every count of interpretable
    neurons stands beside what chance gives: a toss-up per case reaches .8 on 5 + 5
    cases with probability .055, and descriptions tried on other neurons say what this
    describer reaches on these items without any meaning.

    *Attributes* are tested apart from that, over all active rows: hypergeometric test,
    Benjamini-Hochberg procedure over neurons times attributes. The test takes rows for
    independent; where many rows show the same item it is too kind. They make the labels
    of ``"enrichment"``: a neuron where none passes has a confidence but no label.

    *Own describers.* An object with ``describe(cases) -> concept`` and
    ``predict(concept, cases) -> levels``, where `cases` is a :class:`NeuronCases`;
    optionally ``fit(shown)``, which gets the items of all rows and what is known of
    them but no activations, and ``label(concept, attributes) -> str``. One with
    ``get_params`` is cloned first. An exception marks that neuron only.

    Time is linear in the stored activations times attributes per item, plus some
    tenths of a millisecond a neuron for the built-in describers.

    References
    ----------
    .. [1] RecSAE, arXiv:2411.06112, doi:10.1145/3795529. Its reference code takes
       deciles over all neurons, may check a description on cases it was made of, and
       takes accuracy over unequal numbers of cases for confidence; here all three
       differ.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.decomposition import TruncatedSVD
    >>> from skpopsteer import SparseAutoencoderProbe, as_recommender
    >>> from skpopsteer.datasets import make_interactions
    >>> from skpopsteer.neurons import NeuronInterpreter
    >>> data = make_interactions(2000, 200, random_state=0)
    >>> host = as_recommender(TruncatedSVD(8, random_state=0).fit(data.X))
    >>> probe = SparseAutoencoderProbe(32, k=4, max_iter=30, random_state=0)
    >>> probe = probe.fit(host.encode_users(data.X))
    >>> interpreter = NeuronInterpreter(host, probe, random_state=0)
    >>> interpreter = interpreter.fit(data.X, item_features=data.item_concepts)
    >>> len(interpreter.concepts_)
    32
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "recommender": [HasMethods(["recommend"]), None],
        "probe": [HasMethods(["transform"]), None],
        "describer": [
            StrOptions(set(_DESCRIBERS)),
            HasMethods(["describe", "predict"]),
        ],
        "which_item": [StrOptions({"top1_recommended", "last_input", "target"})],
        "n_cases": [Interval(Integral, 2, None, closed="left")],
        "distinct_items": ["boolean"],
        "match_popularity": ["boolean"],
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "fdr": [Interval(Real, 0, 1, closed="neither")],
        "neurons": ["array-like", None],
        "n_permutations": [Interval(Integral, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        recommender=None,
        probe=None,
        *,
        describer="enrichment",
        which_item="top1_recommended",
        n_cases=5,
        distinct_items=True,
        match_popularity=False,
        threshold=0.8,
        fdr=0.05,
        neurons=None,
        n_permutations=1,
        random_state=None,
    ):
        self.recommender = recommender
        self.probe = probe
        self.describer = describer
        self.which_item = which_item
        self.n_cases = n_cases
        self.distinct_items = distinct_items
        self.match_popularity = match_popularity
        self.threshold = threshold
        self.fdr = fdr
        self.neurons = neurons
        self.n_permutations = n_permutations
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        *,
        item_features=None,
        item_titles=None,
        times=None,
        user_ids=None,
    ):
        """Encode rows, and describe the neurons that fire for them.

        Parameters
        ----------
        X : array-like or sparse of shape (n_rows, n_items)
            Interactions; times for an order-aware host.
        y : sparse of shape (n_rows, n_items), array-like of shape (n_rows,) or \
HeldOut, default=None
            Held-out interactions, for ``which_item="target"``.
        item_features : sparse, array-like, data frame, dict or tuple, default=None
            Attributes: a matrix (n_items, n_attributes), that and names, a frame, or a
            dict of names to vectors. An item has an attribute where the value is above
            0.
        item_titles : array-like of shape (n_items,), default=None
            Texts; None or NaN for an item without one.
        times : sparse of shape (n_rows, n_items), default=None
            Times > 0 of the interactions of `X`, for ``which_item="last_input"``. Not
            needed for an order-aware host, which reads them in `X`.
        user_ids : array-like of shape (n_rows,), default=None
            Positions of trained users; None folds every row in.

        Returns
        -------
        self : object
            Fitted interpreter.
        """
        host, probe = read_host(self.recommender, self.probe)
        X = check_interactions(self, X, reset=True)
        if user_ids is not None:
            user_ids = check_user_ids(user_ids, X.shape[0])
        features = read_attributes(item_features, X.shape[1])
        titles = check_titles(item_titles, X.shape[1])
        times = times_of_rows(host, X, times)
        seeds = self._draw_seeds()
        items = items_of_rows(
            self.which_item, host, X, y=y, times=times, user_ids=user_ids, seed=seeds[0]
        )
        Z = encode_activations(host, probe, X, user_ids)
        known = (*features, titles, X, times)
        return self._interpret(Z, items, known, count_popularity(X), seeds)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_activations(
        self, Z, items, *, item_features=None, item_titles=None, item_popularity=None
    ):
        """Describe neurons whose activations are known already.

        Neither `recommender` nor `probe` nor `which_item` is looked at.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations; a neuron fires where its activation is above 0.
        items : array-like of shape (n_rows,)
            Position of the item that stands for each row, -1 for none.
        item_features, item_titles : see :meth:`fit`
            As there.
        item_popularity : array-like of shape (n_items,), default=None
            Interactions per item, for ``match_popularity=True``. None counts how often
            an item stands for a row.

        Returns
        -------
        self : object
            Fitted interpreter.
        """
        Z = check_array(
            Z, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="Z"
        )
        items = check_items(items, Z.shape[0])
        popularity = item_popularity
        if popularity is not None:
            popularity = check_popularity("item_popularity", popularity)
        n_items = count_items(items, item_features, item_titles, popularity)
        features = read_attributes(item_features, n_items)
        titles = check_titles(item_titles, n_items)
        if items.max(initial=-1) >= n_items:
            raise ValueError(
                f"`items` must be positions of known items, 0 to {n_items - 1}; got "
                f"{items.max()}. Pass titles, features and popularity of them all."
            )
        if popularity is None:
            popularity = np.bincount(items[items >= 0], minlength=n_items)
        known = (*features, titles, None, None)
        return self._interpret(
            as_activations(Z), items, known, popularity, self._draw_seeds()
        )

    def _draw_seeds(self):
        rng = check_random_state(self.random_state)
        return rng.randint(np.iinfo(np.int32).max, size=3).tolist()

    def _interpret(self, Z, items, known, popularity, seeds):
        rows = np.flatnonzero(items >= 0)
        if not len(rows):
            raise ValueError(
                "`items` must stand for at least one row; got none. "
                f"Check that the rows have a {self.which_item} item."
            )
        shown = ShownItems(rows, items[rows], *known)
        self.n_neurons_ = Z.shape[1]
        self.n_distinct_items_ = len(np.unique(shown.items))
        neurons = self._check_neurons()
        Z = csc_array(Z[rows])
        self.describer_ = self._fit_describer(shown)
        selection = select_cases(
            Z,
            shown,
            neurons,
            self.n_cases,
            distinct_items=self.distinct_items,
            popularity=popularity if self.match_popularity else None,
            seed=seeds[1],
        )
        attributes = enriched_attributes(Z, shown, neurons, self.fdr)
        described = describe_neurons(
            self.describer_, shown, selection, attributes, self.n_permutations, seeds[2]
        )
        verdict = verify(
            described.levels, described.null_levels, self.n_cases, self.threshold
        )
        self._keep(neurons, selection, attributes, described, verdict)
        self._warn(neurons)
        return self

    def _check_neurons(self):
        if self.neurons is None:
            return np.arange(self.n_neurons_)
        neurons = as_array("neurons", self.neurons)
        known = neurons.dtype.kind in "iu" and neurons.ndim == 1
        known = known and np.isin(neurons, np.arange(self.n_neurons_)).all()
        if not known or not len(neurons):
            raise ValueError(
                "`neurons` must be positions of neurons in a 1-D array, 0 to "
                f"{self.n_neurons_ - 1}; got {self.neurons!r}. Leave it out for all."
            )
        return np.unique(neurons)

    def _fit_describer(self, shown):
        describer = self.describer
        if isinstance(describer, str):
            describer = _DESCRIBERS[describer]()
        elif hasattr(describer, "get_params"):
            describer = clone(describer)
        if hasattr(describer, "fit"):
            describer.fit(shown)
        return describer

    def _keep(self, neurons, selection, attributes, described, verdict):
        """Store the figures by neuron, and the table."""
        for name, values in verdict.figures.items():
            setattr(self, f"{name}_", self._by_neuron(neurons, values, np.nan))
        self.interpretable_ = self._by_neuron(neurons, verdict.interpretable, False)
        self.interpretable_share_ = verdict.share
        self.null_interpretable_share_ = verdict.null_share
        self.chance_share_ = verdict.chance_share
        labels = np.where(verdict.verified, described.labels, "")
        self.labels_ = {
            int(neuron): label
            for neuron, label in zip(neurons, labels.tolist(), strict=True)
            if label
        }
        self.concepts_ = tabulate_concepts(
            neurons, labels, selection, attributes, described, verdict,
            threshold=self.threshold, n_distinct_items=self.n_distinct_items_,
        )  # fmt: skip

    def _by_neuron(self, neurons, values, missing):
        """Spread the values of the neurons asked for over all neurons."""
        by_neuron = np.full(self.n_neurons_, missing)
        by_neuron[neurons] = values
        return by_neuron

    def _warn(self, neurons):
        wanted = _FEW_ITEMS * self.n_cases
        if self.n_distinct_items_ < wanted:
            warnings.warn(
                f"`which_item` must show at least {wanted} different items for "
                f"n_cases={self.n_cases}; got {self.n_distinct_items_}. Neurons can "
                "hardly be told apart by them: choose another item, or more rows.",
                stacklevel=5,
            )
        (failed,) = np.nonzero(self.concepts_["status"] == "error")
        if len(failed):
            warnings.warn(
                "`describer` must describe and predict every neuron; got "
                f"{len(failed)} failures, first for neuron {neurons[failed[0]]}: "
                f"{self.concepts_['reason'][failed[0]]} "
                "The others are listed in concepts_['reason'].",
                stacklevel=5,
            )
