"""Every mask under one name, for users.

The library itself imports the modules of `mrilib.data.sampling`, so that an edit of one kind of mask is none
of another's.
"""

from mrilib.data.sampling.base import name_seed, true_acceleration
from mrilib.data.sampling.columns import column_mask
from mrilib.data.sampling.radial import radial_mask

__all__ = ["column_mask", "name_seed", "radial_mask", "true_acceleration"]
