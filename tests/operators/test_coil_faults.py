import math

from mrilib.operators.coil_faults import coil_faults


def test_coils_that_are_zero_or_not_finite_are_told_by_their_numbers(draw):
    kspace = draw(6, 4, 5)
    assert coil_faults(kspace) == ""
    kspace[2] = 0
    assert coil_faults(kspace) == "coil 2 is zero"
    kspace[5] = 0
    assert coil_faults(kspace) == "coils 2, 5 are zero"
    kspace[0, 1, 1] = complex(0, math.inf)
    assert coil_faults(kspace) == "coils 2, 5 are zero, coil 0 is not finite"
    kspace[3] = math.nan
    assert coil_faults(kspace) == "coils 2, 5 are zero, coils 0, 3 are not finite"
