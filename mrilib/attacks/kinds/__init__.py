"""Attacks by what they maximise."""
