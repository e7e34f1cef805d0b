"""The sparse autoencoder as a scikit-learn transformer."""

from numbers import Integral, Real
from os import PathLike

from sklearn.base import BaseEstimator

from skpopsteer._callbacks import CallbackSupportMixin, fit_task
from skpopsteer._compat import EstimatorMixin, Interval, StrOptions, _fit_context
from skpopsteer.sae._encoding import EncodingMixin, as_float32
from skpopsteer.sae._fitting import fit_once, fit_rows, warn_of_dead
from skpopsteer.sae._labels import NeuronLabelsMixin
from skpopsteer.sae._rows import ArrayRows, BlockRows


class SparseAutoencoderProbe(
    EstimatorMixin,
    CallbackSupportMixin,
    NeuronLabelsMixin,
    EncodingMixin,
    BaseEstimator,
):
    r"""Sparse autoencoder over a table of embeddings.

    It writes every embedding as a bias plus a non-negative combination of a few
    directions out of `n_neurons`. The coefficients are the activations of the neurons.

    Parameters
    ----------
    n_neurons : int, default=1024
        Size of the dictionary.
    k : int, default=32
        Activations kept in a row, or on average; at most `n_neurons`.
    activation : {"topk", "batch_topk", "jumprelu", "relu"}, default="topk"
        ``"topk"``: the `k` largest of each row [1]_. ``"batch_topk"``: `k` a row on
        average over a batch [3]_, a learned threshold afterwards. ``"jumprelu"``: those
        above a threshold per neuron, learned so that `k` fire on average [4]_.
        ``"relu"``: all positive ones, made few by an L1 penalty.
    loss : {"squared", "cosine", "prediction"}, default="squared"
        ``"squared"`` is FVU. ``"cosine"`` is one minus the cosine [5]_, which leaves
        lengths open: see :meth:`inverse_transform`. ``"prediction"`` is the squared
        error of the scores, of all items at once; ``fit`` takes `item_embeddings`.
    aux_penalty : float, default=1/32
        Weight of the auxiliary loss that revives dead neurons. PopSteer's code trains
        with 1/2.
    sparsity_penalty : float, default=None
        Weight of the L1 penalty of ``"relu"`` (None is 0.1), and of ``"jumprelu"``'s on
        the distance from `k` (None is 1). The others have none.
    nested_sizes : list of int, default=None
        Sizes of smaller dictionaries nested in this one, ascending: the first neurons
        learn to reconstruct alone (Matryoshka, [6]_). For ``"topk"`` and
        ``"batch_topk"``.
    refine : int, default=0
        Passes of non-negative least squares over the kept activations at the end of
        ``transform``: the encoder chooses the neurons, and what they say is then
        corrected for the others that fire. 3 lower FVU by a third to a half (see
        ``benchmarks/results/sae_quality.md``), at a small cost per row; training and
        `pre_activations` stay as they are.
    standardize_rows : bool, default=False
        Train on rows with mean 0 and deviation 1 each, as [5]_; see
        :meth:`inverse_transform`.
    center : {"mean", "median"}, default="mean"
        Where the decoder's bias starts: at the mean or the geometric median.
    resample_every : int, default=None
        Epochs after which dead neurons get new directions; None leaves them to the
        auxiliary loss.
    max_iter : int, default=100
        Epochs at the most.
    batch_size : int, default=1024
        Rows in a step.
    learning_rate : float, default=1e-3
        Of Adam, without weight decay.
    decay : float, default=0.2
        Share of `max_iter`, at the end, over which the learning rate falls to 0.
    tol : float, default=1e-4
        Training stops when the loss of an epoch has not improved by this much for
        `n_iter_no_change` epochs.
    n_iter_no_change : int, default=10
        See `tol`.
    early_stopping : bool, default=False
        Judge epochs by the FVU of held-out rows instead, and keep the best weights.
    validation_fraction : float, default=0.1
        Share of the rows held out then.
    n_init : int, default=1
        Number of random starts; the one with the lowest FVU is kept, and `stability_`
        says which of its neurons the others found too.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit``, each neuron under its number.
    checkpoint : str or path-like, default=None
        File to save the training to after every epoch. A ``fit`` that was killed goes
        on from there and ends as if it had not been; then the file is removed.
    sparse_output : bool, default=False
        Let ``transform`` return a CSR array.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where to train; "auto" takes CUDA where there is some. Fitted state is numpy.
    random_state : int, RandomState instance or None, default=None
        Seed of weights and order of rows.
    verbose : int, default=0
        1 logs every tenth epoch, 2 every epoch (logger ``skpopsteer.sae``, level INFO);
        where nobody listens to the log, a progress bar. From scikit-learn 1.9 on,
        ``set_callbacks(ProgressBar())`` works too.

    Attributes
    ----------
    encoder_weights_ : ndarray of shape (n_neurons, n_features), dtype float32
        One row per neuron.
    encoder_bias_ : ndarray of shape (n_neurons,), dtype float32
        Added to the pre-activations.
    decoder_weights_ : ndarray of shape (n_neurons, n_features), dtype float32
        Directions of the neurons, rows of unit length.
    decoder_bias_ : ndarray of shape (n_features,), dtype float32
        Starts at the mean of the data.
    threshold_ : ndarray of shape () or (n_neurons,), or None
        What a pre-activation has to exceed; None for ``"topk"``.
    loss_curve_ : list of float
        Objective of every epoch.
    dead_neurons_ : ndarray of shape (n_neurons,), dtype bool
        Neurons without a positive kept value on any training row.
    l0_ : float
        Activations kept a row, mean over the training rows.
    stability_ : ndarray of shape (n_neurons,) or None
        Cosine of each direction with its match in the other starts, mean; None with
        ``n_init=1``. Neurons are matched one to one.
    matching_ : ndarray of shape (n_neurons,) or None
        After a warm start: cosine with the direction of the same number before.
    neuron_labels_ : dict of int to str
        What :meth:`label_neurons` was told; empty after ``fit``.
    decodes_with_rows : bool
        Whether :meth:`inverse_transform` needs the rows to put back a scale that
        activations do not hold: with `standardize_rows` or ``loss="cosine"``.
    fvu_ : float
        Fraction of the variance of the training rows that is unexplained.
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
        Width of the embeddings.
    feature_names_in_ : ndarray of shape (n_features,)
        Where the input has string column names.

    See Also
    --------
    skpopsteer.neurons.PopularityNeuronSelector : Choose neurons by popularity.

    Notes
    -----
    With decoder bias :math:`b` the code and reconstruction of a row are

    .. math::

        p = W_{enc}(x - b) + b_{enc}, \quad z = TopK_k(ReLU(p)), \quad
        \hat x = W_{dec}^\top z + b

    and training minimises FVU plus `aux_penalty` times the auxiliary loss of [1]_,
    whose target is the residual :math:`x - \hat x`, held constant, without bias.
    PopSteer's code [2]_ takes the negative of it; ``docs/methods/popsteer.md`` lists
    the differences. Rows are centred and scaled while training, which is folded into
    the weights at the end. Decoder rows are normalised after every step, and the part
    of their gradient along them is left out.

    A warning names the remedy when more than 5 % of the neurons are dead.

    The same `random_state`, data and number of torch threads give the same weights on
    the same machine. One epoch costs O(n_rows · n_neurons · n_features), one dense
    product; what follows touches the kept activations only (``"relu"`` keeps many).

    References
    ----------
    .. [1] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
       arXiv:2406.04093.
    .. [2] P. Ahmadov and M. Mansoury, arXiv:2508.17297 and arXiv:2601.15122.
    .. [3] B. Bussmann et al., "BatchTopK Sparse Autoencoders", 2024, arXiv:2412.06410.
    .. [4] S. Rajamanoharan et al., "Jumping Ahead: Improving Reconstruction Fidelity
       with JumpReLU Sparse Autoencoders", 2024, arXiv:2407.14435.
    .. [5] M. Spišák et al., "From Knots to Knobs: Towards Steerable Collaborative
       Filtering Using Sparse Autoencoders", 2026, arXiv:2601.11182.
    .. [6] B. Bussmann et al., "Learning Multi-Level Features with Matryoshka Sparse
       Autoencoders", ICML 2025, arXiv:2503.17547.

    Examples
    --------
    >>> import numpy as np
    >>> from skpopsteer.sae import SparseAutoencoderProbe
    >>> U = np.random.RandomState(0).normal(size=(500, 8))
    >>> probe = SparseAutoencoderProbe(64, k=4, max_iter=50, random_state=0).fit(U)
    >>> Z = probe.transform(U)
    >>> Z.shape, int((Z > 0).sum(axis=1).max())
    ((500, 64), 4)
    >>> probe.score(U) > 0.5
    True
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "n_neurons": [Interval(Integral, 1, None, closed="left")],
        "k": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions({"topk", "batch_topk", "jumprelu", "relu"})],
        "loss": [StrOptions({"squared", "cosine", "prediction"})],
        "aux_penalty": [Interval(Real, 0, None, closed="left")],
        "sparsity_penalty": [Interval(Real, 0, None, closed="left"), None],
        "nested_sizes": ["array-like", None],
        "refine": [Interval(Integral, 0, None, closed="left")],
        "standardize_rows": ["boolean"],
        "center": [StrOptions({"mean", "median"})],
        "resample_every": [Interval(Integral, 1, None, closed="left"), None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "decay": [Interval(Real, 0, 1, closed="both")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "checkpoint": [str, PathLike, None],
        "sparse_output": ["boolean"],
        "device": [StrOptions({"auto", "cpu", "cuda"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_neurons=1024,
        *,
        k=32,
        activation="topk",
        loss="squared",
        aux_penalty=1 / 32,
        sparsity_penalty=None,
        nested_sizes=None,
        refine=0,
        standardize_rows=False,
        center="mean",
        resample_every=None,
        max_iter=100,
        batch_size=1024,
        learning_rate=1e-3,
        decay=0.2,
        tol=1e-4,
        n_iter_no_change=10,
        early_stopping=False,
        validation_fraction=0.1,
        n_init=1,
        warm_start=False,
        checkpoint=None,
        sparse_output=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_neurons = n_neurons
        self.k = k
        self.activation = activation
        self.loss = loss
        self.aux_penalty = aux_penalty
        self.sparsity_penalty = sparsity_penalty
        self.nested_sizes = nested_sizes
        self.refine = refine
        self.standardize_rows = standardize_rows
        self.center = center
        self.resample_every = resample_every
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.decay = decay
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_init = n_init
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.sparse_output = sparse_output
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, item_embeddings=None):
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings, one row each. A memory-mapped float32 array is read in stretches
            and never copied whole.
        y : None
            Ignored.
        item_embeddings : array-like of shape (n_items, n_features), default=None
            Frozen items of the host, for ``loss="prediction"``.

        Returns
        -------
        self : object
            Fitted probe.

        Notes
        -----
        Ctrl-C ends the training early, with a warning: the probe is fitted as far as it
        has come, and a `checkpoint` stays for the next ``fit``. Inside a
        ``SteeredRecommender`` it stops everything.
        """
        resume = self.warm_start and hasattr(self, "_training_state")
        X = as_float32(self, X, reset=not resume)
        return self._fit_rows(ArrayRows(X), item_embeddings, resume)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_blocks(self, blocks, y=None, *, item_embeddings=None):
        """Train on more rows than fit into memory, block by block.

        Parameters
        ----------
        blocks : iterable, or callable without arguments that returns an iterator
            Tables of shape (n, n_features): arrays, memory-mapped ones, frames, or
            paths of ``.npy`` files. It is gone through once an epoch, and a few times
            before and after; a generator, which ends after once, is refused.
        y : None
            Ignored.
        item_embeddings : array-like of shape (n_items, n_features), default=None
            As in :meth:`fit`.

        Returns
        -------
        self : object
            Fitted probe.

        Notes
        -----
        One block and one batch are held at a time. For rows of interactions, encode
        them on the way: ``lambda: (host.encode_users(X[i : i + 10_000]) for i in
        range(0, X.shape[0], 10_000))``.
        """
        resume = self.warm_start and hasattr(self, "_training_state")
        rows = BlockRows(blocks)
        first = next(iter(rows.blocks()))
        as_float32(self, first, reset=not resume)
        return self._fit_rows(rows, item_embeddings, resume)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, *, item_embeddings=None):
        """Go once over a batch of rows, keeping the optimiser's state between calls.

        The first call sets the centre and the scale of the data, so its rows should be
        representative.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings, one row each.
        y : None
            Ignored.
        item_embeddings : array-like of shape (n_items, n_features), default=None
            As in :meth:`fit`.

        Returns
        -------
        self : object
            Probe after one more pass.
        """
        first = not hasattr(self, "_training_state")
        X = as_float32(self, X, reset=first)
        trained = fit_once(self, ArrayRows(X), item_embeddings, resume=not first)
        trained.losses = [*getattr(self, "loss_curve_", []), *trained.losses]
        # A neuron is dead only if no batch so far has woken it.
        trained.dead &= getattr(self, "dead_neurons_", True)
        if first:
            self.neuron_labels_ = {}
        return self._store(trained)

    def _fit_rows(self, rows, item_embeddings, resume):
        if not resume:
            self.neuron_labels_ = {}
        with fit_task(self, 1 if resume else self.n_init):
            self._store(fit_rows(self, rows, item_embeddings, resume))
        warn_of_dead(self.dead_neurons_)
        return self

    def _store(self, trained):
        weights = trained.weights
        self.encoder_weights_ = weights.encoder
        self.encoder_bias_ = weights.encoder_bias
        self.decoder_weights_ = weights.decoder
        self.decoder_bias_ = weights.decoder_bias
        self.threshold_ = weights.threshold
        self.loss_curve_, self.n_iter_ = trained.losses, len(trained.losses)
        self.fvu_, self.l0_, self.dead_neurons_ = trained.fvu, trained.l0, trained.dead
        self.stability_, self.matching_ = trained.stability, trained.matching
        self._training_state = trained.state
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        return len(self.encoder_bias_)
