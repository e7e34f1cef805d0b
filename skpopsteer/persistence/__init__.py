"""Save models to files that can be loaded without running code out of them."""

from skpopsteer.persistence._load import load
from skpopsteer.persistence._save import save
from skpopsteer.persistence._trusted import TRUSTED_TYPES

__all__ = ["TRUSTED_TYPES", "load", "save"]
