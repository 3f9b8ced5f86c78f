"""Measurements for machines with a GPU; every one also runs without."""
