"""Fitting of methods to data: parameters chosen on validation images."""
