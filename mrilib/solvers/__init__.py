"""Solvers of convex problems, and the derivatives of their solutions."""
