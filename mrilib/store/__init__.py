"""Units of work and result records on disk, written atomically."""
