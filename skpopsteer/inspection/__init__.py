"""See what steering does: tables of recommenders side by side."""

from skpopsteer.inspection._compare import Comparison, compare

__all__ = ["Comparison", "compare"]
