"""Commands that look at a run, or tidy it, and run no job."""
