"""Trains generators on a user's images, judges them, and exports them to ONNX.

``python -m training train | evaluate | doctor | export``. What it writes for the service is described by
``contract``; the service itself is unknown here.
"""

import os

# ONNX Runtime's builds report to their maker, and write an identifier into HOME, unless this stands before
# they are loaded. Whoever wants it otherwise sets the variable.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
