"""Trains generators on a user's images, judges them, and exports them to ONNX.

``python -m training train | evaluate | doctor | export``. What it writes for the service is described by
``contract``; the service itself is unknown here.
"""
