"""Data, splits and trained hosts of the frontier table."""
