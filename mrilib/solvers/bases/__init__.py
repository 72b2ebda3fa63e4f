"""ℓ1 in an orthonormal basis."""
