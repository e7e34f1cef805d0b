"""Read a layer of a torch module while the module runs as it always does."""

from numbers import Integral

__all__ = ["LayerOutput"]


class LayerOutput:
    """Encoder of a :class:`TorchRecommender`: what a layer puts out.

    The module's own forward pass runs, and the output of one layer in it is taken.

    Parameters
    ----------
    layer : str
        Name of the submodule, as in ``module.named_modules()``.
    position : int, default=None
        Of an output with one embedding per position of a sequence: the position to
        take, such as -1 for the last. None for outputs of one embedding a row.

    See Also
    --------
    skpopsteer.steering.steered : Steer the same layer inside the forward pass.

    Examples
    --------
    >>> import torch
    >>> from skpopsteer.adapters import LayerOutput
    >>> module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    >>> LayerOutput("0")(module, torch.zeros(4, 3)).shape
    torch.Size([4, 2])
    """

    def __init__(self, layer, *, position=None):
        self.layer = layer
        self.position = position

    def __call__(self, module, batch):
        """Run the module on a batch, and return the layer's output.

        Parameters
        ----------
        module : torch.nn.Module
            Left as it is.
        batch : tensor
            Input of the module.

        Returns
        -------
        tensor of shape (n_rows, d)
        """
        layers = dict(module.named_modules())
        if not isinstance(self.layer, str) or self.layer not in layers:
            names = ", ".join(repr(name) for name in list(layers)[:20])
            raise ValueError(
                f"`layer` must name a submodule; got {self.layer!r}. Some are {names}."
            )
        taken = []
        handle = layers[self.layer].register_forward_hook(
            lambda _module, _inputs, output: taken.append(output)
        )
        try:
            module(batch)
        finally:
            handle.remove()
        if not taken:
            raise ValueError(
                f"`layer` must run in the module's forward pass; {self.layer!r} did "
                "not. Name another, or pass a function as the encoder."
            )
        output = taken[-1][0] if isinstance(taken[-1], tuple) else taken[-1]
        return output if self.position is None else self._take_position(output)

    def _take_position(self, output):
        position, length = self.position, output.shape[1] if output.ndim == 3 else 0
        whole = isinstance(position, Integral) and not isinstance(position, bool)
        if not whole or not -length <= position < length:
            raise ValueError(
                f"`position` must be one of the {length} positions that the layer puts "
                f"out, of shape {tuple(output.shape)}; got {position!r}. Leave it out "
                "for one embedding a row."
            )
        return output[:, int(position)]

    def __repr__(self):
        position = "" if self.position is None else f", position={self.position}"
        return f"LayerOutput({self.layer!r}{position})"
