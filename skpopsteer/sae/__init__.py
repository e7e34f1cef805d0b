"""Sparse autoencoders that turn embeddings into neurons and back."""

from skpopsteer.sae._probe import SparseAutoencoderProbe

__all__ = ["SparseAutoencoderProbe"]
