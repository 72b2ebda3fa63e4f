"""Linear operators: measurement models and sparsifying transforms."""
