"""Everything that is about HTTP: routes, headers, bodies, negotiation, errors as problems."""
