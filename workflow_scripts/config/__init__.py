"""The configuration: what may stand in a config file, and what follows from it."""
