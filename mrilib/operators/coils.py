"""What coils have to do with, under one name, for users: the operator, and the maps that it needs.

The library itself imports `coil_fourier` and `espirit`, so that an edit of how maps are estimated is none
of the operator's.
"""

from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.espirit import calibration_shape, estimate_coil_maps

__all__ = ["CoilFourier", "calibration_shape", "estimate_coil_maps"]
