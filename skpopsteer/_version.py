"""The version, apart from the package so that building it imports nothing else."""

__version__ = "0.1.0.dev0"
