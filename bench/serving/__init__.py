"""How fast the service serves, beside raw ONNX Runtime on the same cores, and beside its peers."""
