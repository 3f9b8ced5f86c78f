"""The use cases: check a request against its model, place an order, and draw what was ordered."""
