"""Rows of score files."""

import math

from mrilib.experiments.columns import COLUMNS, NUMBERS

EMPTY = {name: math.nan if name in NUMBERS else "" for name in COLUMNS} | {
    "source": "set",
    "mask": "mask",
    "method": "m",
    "domain": "set@mask",
    "position": 0,
    "patient": "p",
    "simulated": False,
    "acceleration": 4.0,
    "coils": 0,
    "through_adjoint": False,
    "tuned": "clean",
    "factor": 1.0,
    "row": -1,
    "column": -1,
}


def clean(error, **changes):
    """A clean reconstruction."""
    return EMPTY | {"kind": "reconstruction", "relative_error": error, "seconds": 1.0} | changes


def peak(value, **changes):
    """A localized attack."""
    row = {"kind": "localized", "attack": "peak", "region": "image", "artifact": "complex", "level": 0.01}
    row |= {"made_for": changes.get("method", "m"), "amplification": value, "severity": 2.0}
    return EMPTY | row | {"relative_error": value / 100} | changes
