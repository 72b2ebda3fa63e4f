"""Linear reconstructions: controls whose worst case is known."""

from torch import Tensor

from mrilib.operators.base import LinearOperator
from mrilib.reconstructors.base import Reconstructor, check_kspace


class ZeroFilled(Reconstructor):
    """`Aᴴ y`: missing k-space left at zero.

    A perturbation `e` on the mask changes the image by `Aᴴe`, whatever the image. So the largest single
    pixel that `‖e‖ ≤ η` reaches is `η·√m/n` on an n×n image with m samples, by the spike, and its
    amplification is 1.
    """

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        check_kspace(kspace, "ZeroFilled")
        return operator.adjoint(kspace)
