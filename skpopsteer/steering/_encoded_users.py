"""What is known of users while they are steered."""

from dataclasses import dataclass

import numpy as np

from skpopsteer.steering._rules import Codes

__all__ = ["EncodedUsers"]


@dataclass
class EncodedUsers:
    """Embeddings of some users, and what multiplies the strength for each.

    Attributes
    ----------
    embeddings : ndarray of shape (n_users, d)
    factors : ndarray of shape (n_users,) or None
    codes : Codes or None
        What the probe makes of the embeddings, where that is kept.
    steered : ndarray of shape (n_users, d) or None
        Embeddings after they were steered.
    """

    embeddings: np.ndarray
    factors: np.ndarray | None
    codes: Codes | None = None
    steered: np.ndarray | None = None

    def __getitem__(self, rows):
        """Cut to some rows."""
        factors = None if self.factors is None else self.factors[rows]
        codes = None if self.codes is None else self.codes.of(rows)
        steered = None if self.steered is None else self.steered[rows]
        return EncodedUsers(self.embeddings[rows], factors, codes, steered)
