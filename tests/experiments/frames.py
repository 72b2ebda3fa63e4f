"""Rows of score files, and runs of them."""

import math

import pandas as pd

from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.attacks.kinds.localized import Localized
from mrilib.experiments.base import ScoredRun
from mrilib.experiments.columns import COLUMNS, NUMBERS
from mrilib.experiments.records import RADIAL
from mrilib.experiments.scores import with_usual_domains

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
    "output": "complex",
    "tuned": "clean",
    "factor": 1.0,
    "row": -1,
    "column": -1,
}


def clean(error, /, **changes):
    """A clean reconstruction."""
    return EMPTY | {"kind": "reconstruction", "relative_error": error, "seconds": 1.0} | changes


def peak(value, /, **changes):
    """A localized attack."""
    row = {"kind": "localized", "attack": "peak", "region": "image", "artifact": "complex", "level": 0.01}
    row |= {"made_for": changes.get("method", "m"), "amplification": value, "severity": 2.0}
    return EMPTY | row | {"relative_error": value / 100} | changes


def run_of(scores, **changes):
    """A run of one phantom source and two masks, with these scores: rows, or a frame."""
    known = {
        "methods": {"m": "tv", "other": None},
        "masks": {
            "mask": {"class": RADIAL, "kind": "radial", "lines": 40},
            "columns": {"kind": "random", "acceleration": 4},
        },
        "attacks": {"peak": Localized().about, "white": Gaussian().about},
        "sources": ["set"],
        "published_sources": ["set"],
        "mask_labels": {"mask": "40 lines"},
        "code_hash": "abc",
    }
    frame = scores if isinstance(scores, pd.DataFrame) else pd.DataFrame(scores)
    return ScoredRun(with_usual_domains(frame), **(known | changes))
