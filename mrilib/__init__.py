"""Robustness of MRI reconstruction: operators, data, reconstructors, attacks and measures."""
