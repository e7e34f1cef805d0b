"""The sparse autoencoder as a scikit-learn transformer."""

from numbers import Integral, Real

import numpy as np
from scipy.sparse import csr_array, issparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from skpopsteer._compat import EstimatorMixin, Interval, StrOptions, _fit_context
from skpopsteer.sae._labels import NeuronLabelsMixin
from skpopsteer.sae._weights import BLOCK_ACTIVATIONS, SparseWeights, keep_largest


class SparseAutoencoderProbe(
    EstimatorMixin, NeuronLabelsMixin, TransformerMixin, BaseEstimator
):
    r"""TopK sparse autoencoder over a table of embeddings.

    It writes every embedding as a bias plus a non-negative combination of at most `k`
    directions out of `n_neurons`. The coefficients are the activations of the neurons.

    Parameters
    ----------
    n_neurons : int, default=1024
        Size of the dictionary.
    k : int, default=32
        Activations kept in a row; at most `n_neurons`.
    activation : {"topk"}, default="topk"
        ReLU, then the `k` largest values of each row.
    aux_penalty : float, default=1/32
        Weight of the auxiliary loss that revives dead neurons. PopSteer's code trains
        with 1/2.
    max_iter : int, default=100
        Epochs at the most.
    batch_size : int, default=1024
        Rows in a step.
    learning_rate : float, default=1e-3
        Of Adam, without weight decay.
    tol : float, default=1e-4
        Training stops when the loss of an epoch has not improved by this much for ten
        epochs.
    n_init : int, default=1
        Number of random starts; the one with the lowest FVU is kept.
    warm_start : bool, default=False
        Go on from the weights of the previous ``fit``.
    sparse_output : bool, default=False
        Let ``transform`` return a CSR array.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where to train; "auto" takes CUDA where there is some. Fitted state is numpy.
    random_state : int, RandomState instance or None, default=None
        Seed of weights and order of rows.
    verbose : int, default=0
        1 logs every tenth epoch, 2 every epoch (logger ``skpopsteer.sae``, level INFO).

    Attributes
    ----------
    encoder_weights_ : ndarray of shape (n_neurons, n_features_in_), dtype float32
        One row per neuron.
    encoder_bias_ : ndarray of shape (n_neurons,), dtype float32
        Added to the pre-activations.
    decoder_weights_ : ndarray of shape (n_neurons, n_features_in_), dtype float32
        Directions of the neurons, rows of unit length.
    decoder_bias_ : ndarray of shape (n_features_in_,), dtype float32
        Starts at the mean of the data.
    loss_curve_ : list of float
        Objective of every epoch.
    dead_neurons_ : ndarray of shape (n_neurons,), dtype bool
        Neurons without a positive kept value on any training row.
    neuron_labels_ : dict of int to str
        What :meth:`label_neurons` was told; empty after ``fit``.
    fvu_ : float
        Fraction of the variance of the training rows that is unexplained.
    n_iter_ : int
        Epochs run.
    n_features_in_ : int
        Width of the embeddings.
    feature_names_in_ : ndarray of shape (n_features_in_,)
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
    PopSteer's code [2]_ takes the negative of it; ``docs/popsteer.md`` lists
    the differences. Rows are centred and scaled while training, which is folded into
    the weights at the end. Decoder rows are normalised after every step.

    The same `random_state`, data and number of torch threads give the same weights on
    the same machine. One epoch costs O(n_rows · n_neurons · n_features_in_).

    References
    ----------
    .. [1] L. Gao et al., "Scaling and evaluating sparse autoencoders", 2024,
       arXiv:2406.04093.
    .. [2] P. Ahmadov and M. Mansoury, arXiv:2508.17297 and arXiv:2601.15122.

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
        "activation": [StrOptions({"topk"})],
        "aux_penalty": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
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
        aux_penalty=1 / 32,
        max_iter=100,
        batch_size=1024,
        learning_rate=1e-3,
        tol=1e-4,
        n_init=1,
        warm_start=False,
        sparse_output=False,
        device="auto",
        random_state=None,
        verbose=0,
    ):
        self.n_neurons = n_neurons
        self.k = k
        self.activation = activation
        self.aux_penalty = aux_penalty
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.tol = tol
        self.n_init = n_init
        self.warm_start = warm_start
        self.sparse_output = sparse_output
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Train the autoencoder.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings, one row each.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted probe.
        """
        self._check_k()
        resume = self.warm_start and hasattr(self, "_training_state")
        X = validate_data(self, X, dtype=np.float32, reset=not resume)
        if not resume:
            self.neuron_labels_ = {}
        best = None
        for seed in self._seeds(1 if resume else self.n_init):
            trainer = self._make_trainer(X, seed, resume=resume)
            losses = trainer.run(X, self.max_iter, self.tol, self.verbose)
            weights = trainer.weights()
            fvu, dead = self._evaluate(weights, X)
            if best is None or fvu < best[0]:
                best = fvu, dead, weights, losses, trainer.state()
        self.fvu_, self.dead_neurons_, weights, self.loss_curve_, state = best
        self._store(weights, state)
        self.n_iter_ = len(self.loss_curve_)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Go once over a batch of rows, keeping the optimiser's state between calls.

        The first call sets the centre and the scale of the data, so its rows should be
        representative.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings, one row each.
        y : None
            Ignored.

        Returns
        -------
        self : object
            Probe after one more pass.
        """
        self._check_k()
        first = not hasattr(self, "_training_state")
        if first:
            self.neuron_labels_ = {}
        X = validate_data(self, X, dtype=np.float32, reset=first)
        (seed,) = self._seeds(1)
        trainer = self._make_trainer(X, seed, resume=not first)
        loss = trainer.epoch(X)
        weights = trainer.weights()
        self.loss_curve_ = [*getattr(self, "loss_curve_", []), loss]
        self.fvu_, dead = self._evaluate(weights, X)
        # A neuron is dead only if no batch so far has woken it.
        self.dead_neurons_ = dead & getattr(self, "dead_neurons_", True)
        self._store(weights, trainer.state())
        self.n_iter_ = len(self.loss_curve_)
        return self

    def transform(self, X):
        """Return the activations of the neurons.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.

        Returns
        -------
        ndarray or csr_array of shape (n_rows, n_neurons), dtype float32
            At most `k` positive values a row; the code of a row does not depend on the
            rows it comes with.
        """
        return self._activate(self.pre_activations(X), self.sparse_output)

    def pre_activations(self, X):
        """Return what goes into ReLU and TopK.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.

        Returns
        -------
        ndarray of shape (n_rows, n_neurons), dtype float32
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._weights().pre_activations(X)

    def activate(self, P):
        """Apply ReLU and TopK to pre-activations.

        Parameters
        ----------
        P : array-like of shape (n_rows, n_neurons)
            Pre-activations, steered or not.

        Returns
        -------
        ndarray of shape (n_rows, n_neurons), dtype float32
            ``activate(pre_activations(X))`` is ``transform(X)``.
        """
        return self._activate(check_array(P, dtype=np.float32), sparse=False)

    def inverse_transform(self, Z):
        """Decode activations to embeddings.

        Parameters
        ----------
        Z : array-like or sparse of shape (n_rows, n_neurons)
            Activations.

        Returns
        -------
        ndarray of shape (n_rows, n_features), dtype float32
        """
        check_is_fitted(self)
        Z = check_array(Z, accept_sparse="csr", dtype=np.float32)
        n_neurons = len(self.encoder_bias_)
        if Z.shape[1] != n_neurons:
            raise ValueError(
                f"`Z` must have one column per neuron ({n_neurons}); got "
                f"{Z.shape[1]}. Pass what transform returns."
            )
        return self._weights().reconstruct(csr_array(Z) if issparse(Z) else Z)

    def score(self, X, y=None):
        """Return the share of variance explained, 1 - FVU.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Embeddings.
        y : None
            Ignored.

        Returns
        -------
        float
            1 is a perfect reconstruction, 0 no better than the mean of `X`.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return 1.0 - self._evaluate(self._weights(), X)[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @property
    def _n_features_out(self):
        return len(self.encoder_bias_)

    def _check_k(self):
        if self.k > self.n_neurons:
            raise ValueError(
                f"`k` must be at most `n_neurons` ({self.n_neurons}); got {self.k}. "
                "Lower k or raise n_neurons."
            )

    def _seeds(self, n_seeds):
        return check_random_state(self.random_state).randint(
            np.iinfo(np.int32).max, size=n_seeds
        )

    def _make_trainer(self, X, seed, *, resume):
        # Imported here: only training needs torch's autograd and optimisers.
        import torch

        from skpopsteer.sae._training import Trainer

        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        trainer = Trainer(
            X,
            n_neurons=self.n_neurons,
            k=self.k,
            aux_penalty=self.aux_penalty,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            device=device,
            seed=int(seed),
        )
        if resume:
            n_trained = len(self.encoder_bias_)
            if n_trained != self.n_neurons:
                raise ValueError(
                    f"`n_neurons` must stay {n_trained} to go on from the last fit; "
                    f"got {self.n_neurons}. Set warm_start=False to start anew."
                )
            trainer.resume(self._training_state)
        return trainer

    def _weights(self):
        return SparseWeights(
            self.encoder_weights_,
            self.encoder_bias_,
            self.decoder_weights_,
            self.decoder_bias_,
        )

    def _store(self, weights, state):
        self.encoder_weights_ = weights.encoder
        self.encoder_bias_ = weights.encoder_bias
        self.decoder_weights_ = weights.decoder
        self.decoder_bias_ = weights.decoder_bias
        self._training_state = state

    def _activate(self, P, sparse):
        values, neurons = keep_largest(P, self.k)
        if not sparse:
            Z = np.zeros_like(P)
            np.put_along_axis(Z, neurons, values, axis=1)
            return Z
        indptr = np.arange(0, values.size + 1, values.shape[1])
        Z = csr_array((values.ravel(), neurons.ravel(), indptr), shape=P.shape)
        Z.eliminate_zeros()
        Z.sort_indices()
        return Z

    def _evaluate(self, weights, X):
        """Measure FVU and find silent neurons, block by block."""
        fired = np.zeros(len(weights.encoder_bias), dtype=bool)
        step = max(1, BLOCK_ACTIVATIONS // len(fired))
        error = 0.0
        for start in range(0, len(X), step):
            rows = X[start : start + step]
            Z = self._activate(weights.pre_activations(rows), sparse=True)
            fired[Z.indices] = True
            error += float(((rows - weights.reconstruct(Z)) ** 2).sum(dtype=np.float64))
        total = float(((X - X.mean(axis=0, dtype=np.float64)) ** 2).sum())
        fvu = error / total if total > 0 else float(error > 0)
        return fvu, ~fired
