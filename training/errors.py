"""What can go wrong for a user of the training commands; each message says what to do about it."""

from __future__ import annotations


class TrainingError(Exception):
    """A fault of input or environment that the user can mend; printed without a stack trace."""


class DataError(TrainingError):
    """The data set cannot be read or is not fit to train on."""


class ConfigError(TrainingError):
    """A recipe's setting is unknown, of the wrong type or out of range."""


class RunError(TrainingError):
    """A run directory is missing, taken, or does not hold what is asked of it."""


class NotWritten(TrainingError):
    """A file could not be written: the disk is full, or fails."""


class ExportError(TrainingError):
    """The exported graph is not what was trained; nothing was written to the models."""


class Diverged(TrainingError):
    """A loss is no longer a finite number."""


class Failing(TrainingError):
    """The doctor named a failure: the run ended for it as it was told to, or is reported to have it."""
