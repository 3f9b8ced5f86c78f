"""The HTTP service: it loads exported generators and draws from them. It never imports torch or training."""

import os

# ONNX Runtime's builds report to their maker, and write an identifier into HOME, unless this stands before
# they are loaded. Whoever wants it otherwise sets the variable.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
