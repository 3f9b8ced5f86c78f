"""Paths that several modules know: those that draw are in our own table and in BentoML's."""

GENERATE = "/generate"
ARITHMETIC = "/arithmetic"
INTERPOLATE = "/interpolate"

ADMIN = "/admin"
"""Before all that only an operator may do."""
