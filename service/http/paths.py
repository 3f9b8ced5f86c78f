"""The paths of the endpoints that draw, for whoever serves them: our own table, and BentoML's."""

GENERATE = "/generate"
ARITHMETIC = "/arithmetic"
INTERPOLATE = "/interpolate"
