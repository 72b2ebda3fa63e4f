"""Small features: what every method makes of a few pixels more, at every location."""
