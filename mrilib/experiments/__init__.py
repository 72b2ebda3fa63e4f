"""The papers' experiments: they score and assemble what the expensive stages stored."""
