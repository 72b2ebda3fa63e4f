"""Coefficients on a larger grid than the image's, as a prior of `splitting`."""

from jaxtyping import Float
from torch import Tensor

from mrilib.operators.bases import Basis
from mrilib.solvers.bases.shrinkage import shrink, shrink_derivative
from mrilib.solvers.coils.data import Images
from mrilib.solvers.coils.priors import Parts, Prior, Threshold


class Analysis(Prior):
    """`K = Ψ` with the moduli of all coefficients; `ΨᴴΨ = I`, and `Ψ` may be of a larger grid."""

    name = "ℓ1"
    free_mean = False

    def __init__(self, basis: Basis, height: int, width: int) -> None:
        self._basis, self._size = basis, (height, width)

    def forward(self, image: Images) -> Parts:
        return self._basis.forward(image)[:, None]

    def adjoint(self, field: Parts) -> Images:
        return self._basis.adjoint_to(field[:, 0], *self._size)

    def solve(self, right: Images, mu: float, rho: Float[Tensor, "batch"]) -> Images:
        return right / (mu + rho)[:, None, None]

    def lift(self, image: Images) -> Parts:
        return self.forward(image)

    def norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return field.abs().sum((-3, -2, -1))

    def dual_norm(self, field: Parts) -> Float[Tensor, "batch"]:
        return field.abs().amax((-3, -2, -1))

    def shrink(self, field: Parts, threshold: Threshold) -> Parts:
        return shrink(field, threshold)

    def jacobian(self, field: Parts, direction: Parts, threshold: Threshold) -> Parts:
        return shrink_derivative(field, direction, threshold)
