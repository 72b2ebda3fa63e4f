"""Times of the parts that cost, run by `make bench`."""
