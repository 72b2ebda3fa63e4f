"""Images, k-space, masks and the files which they come from."""
