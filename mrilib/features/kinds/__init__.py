"""Kinds of studies of small features: a file each."""
