"""What one job of the workflow computes: units of work, and what they are made of."""
