"""Measurements by several coils: the scaled data, and the splitting that serves every mask."""
