"""What the rules of the workflow run: the config's models, source hashes, one thin script a rule."""
