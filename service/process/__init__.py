"""The processes of the service: a supervisor that holds the socket, and the worker that answers on it."""
