"""What the rules of the workflow run: the config's models, code hashes, one thin script a rule."""
