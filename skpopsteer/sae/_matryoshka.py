"""Dictionaries nested in one another, each of which reconstructs alone."""

__all__ = ["reconstruct_nested"]


def reconstruct_nested(batch, codes, sizes, decoder, bias, loss):
    """Reconstruct with the first neurons, with more of them, and with all.

    Parameters
    ----------
    batch : tensor of shape (n_rows, n_features)
        What is to be reconstructed.
    codes : SparseCodes or DenseCodes
        Activations of the whole dictionary.
    sizes : tuple of int
        Ascending, the last of all neurons; a single one is a plain dictionary.
    decoder : tensor of shape (n_neurons, n_features)
    bias : tensor of shape (n_features,)
    loss : callable
        ``loss(x, x_hat)`` returns the value and the gradient.

    Returns
    -------
    parts : list of codes
        What each dictionary adds to the one before.
    value : float
        Mean loss of the dictionaries.
    by_output : list of tensor of shape (n_rows, n_features)
        Gradient by what each part adds: by all the reconstructions it is in.
    output : tensor of shape (n_rows, n_features)
        The reconstruction of the whole dictionary.

    Notes
    -----
    Costs one more loss a size; the decoder is gone through once.

    References
    ----------
    .. [1] B. Bussmann, N. Nabeshima, A. Karvonen and N. Nanda, "Learning Multi-Level
       Features with Matryoshka Sparse Autoencoders", ICML 2025, arXiv:2503.17547.
    """
    parts = [codes]
    if len(sizes) > 1:
        ends = zip((0, *sizes[:-1]), sizes, strict=True)
        parts = [codes.part(low, high) for low, high in ends]
    output, value, gradients = bias, 0.0, []
    for part in parts:
        output = output + part.decode(decoder)
        own, gradient = loss(batch, output)
        value += own / len(parts)
        gradients.append(gradient / len(parts))
    for level in range(len(parts) - 2, -1, -1):
        gradients[level] = gradients[level] + gradients[level + 1]
    return parts, value, gradients, output
