"""Searches for the perturbation of k-space, within a budget, that does the most harm."""
