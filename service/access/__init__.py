"""Who may do what, and how often: keys, their scopes and their limits. Nothing here knows HTTP."""
