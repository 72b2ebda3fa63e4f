"""How masks are drawn: one module a kind, each with the class that a config names."""
