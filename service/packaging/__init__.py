"""A drawing as an answer: items with their facts, in a JSON document, a file, an archive or a stream."""
