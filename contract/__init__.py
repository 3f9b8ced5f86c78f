"""What training writes and the service reads: manifests, model directories, latents and pixels.

This package is the only meeting place of ``training`` and ``service``. It depends on the standard
library, numpy and pydantic, and on nothing else of Forger.
"""
