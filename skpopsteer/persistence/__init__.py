"""Save models to files that can be loaded without running code out of them."""

from skpopsteer.persistence import _trusted
from skpopsteer.persistence._load import load
from skpopsteer.persistence._save import save

__all__ = ["TRUSTED_TYPES", "load", "save"]

#: Names of all types that :func:`load` accepts beyond what skops trusts by itself,
#: which is numpy's arrays and the estimators of scikit-learn: a tuple of str. A name
#: stands here only after a review of what its constructor and ``__setstate__`` do with
#: content somebody else has written: they store it and do nothing else.
#:
#: :meta hide-value:
TRUSTED_TYPES = _trusted.TRUSTED_TYPES
