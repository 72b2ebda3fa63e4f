"""Numbers about a reconstruction: its quality, its artifacts, their statistics."""
