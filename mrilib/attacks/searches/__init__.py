"""How attacks search: one module a search, each with the class that a config names."""
