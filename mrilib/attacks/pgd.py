"""Projected gradient attacks under one name, for users: the search, and the attack on the whole image.

The library itself imports the modules of `mrilib.attacks.searches` and `mrilib.attacks.kinds`, so that an
edit of one search or of one attack is none of the others.
"""

from mrilib.attacks.kinds.whole import global_attack
from mrilib.attacks.searches.gradient import GradientAscent

__all__ = ["GradientAscent", "global_attack"]
