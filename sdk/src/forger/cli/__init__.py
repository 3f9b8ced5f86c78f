"""The command ``forger``."""
