"""Whether the doctor names what is wrong: runs that are sabotaged in known ways, and healthy ones."""
