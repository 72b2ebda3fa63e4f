"""Where a checkout and its Python may lie."""

import string
from pathlib import Path

# Tried one by one with Snakemake 9.27: under a path with one of these the first job dies, for Snakemake does
# not quote it (its issue 2645). No virtual environment may lie under a colon.
UNFIT = frozenset(string.whitespace) | frozenset("\"$&'()*:;<>?\\`{|}")


def place_fault(*paths: str | Path) -> str | None:
    """Why jobs cannot be started by these paths; `None` if they can."""
    for path in map(str, paths):
        unfit = sorted(UNFIT & set(path))
        if unfit:
            return (
                f"{path}: expected a path without blanks, quotes, colons and what shells treat as special, "
                f"got one with {' '.join(map(repr, unfit))}, where Snakemake cannot start jobs (its issue "
                "2645); move the checkout, with its .venv, elsewhere"
            )
    return None
