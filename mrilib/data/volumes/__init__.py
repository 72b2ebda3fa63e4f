"""Volumes of raw multi-coil data: the fastMRI schema, what is converted to it, and how they are checked."""
