"""The OpenAPI 3.1 document of the running service, built from its own types, tables and models."""
