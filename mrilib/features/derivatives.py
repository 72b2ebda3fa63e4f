"""What a search follows of a method: its derivative, no more accurate than a search needs."""

import copy
from dataclasses import replace

from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.differentiation import Implicit

# Relative residual of linearised problems. Our choice: what a search finds is reconstructed to full accuracy.
ROUGH = 1e-2


def for_search(method: Reconstructor) -> Reconstructor:
    """The method, with the derivative of a minimiser to a residual of `ROUGH` where it solves for one.

    At the usual 1e-5 the derivative of total variation on 64² pixels costs four times as much.
    """
    found = copy.copy(method)
    how = getattr(method, "differentiation", None)
    if isinstance(how, Implicit) and how.tolerance < ROUGH:
        vars(found)["differentiation"] = replace(how, tolerance=ROUGH)
    return found
