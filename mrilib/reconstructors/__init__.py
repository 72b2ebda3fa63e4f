"""Reconstruction methods behind one call: k-space and operator in, image out."""
