"""Mutation testing: copies of the repository, mutants, and the tables."""
