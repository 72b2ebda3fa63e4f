"""What every method is: a map from k-space to an image, differentiable in k-space."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mrilib.operators.base import LinearOperator, MeasurementOperator
from mrilib.solvers.solution import Solution, Status


class Reconstructor(ABC):
    """`image = reconstructor(kspace, operator)`; leading axes of `kspace` are a batch.

    Attributes:
        output: `complex`, or `magnitude` for methods that return moduli.
        family: what figures group methods by: `linear`, `sparse`, `untrained` or `trained`; a stranger's is
            `other`.
        search: import path of the attack's search that suits the method best where one coil measured; the
            config may name another. A path and not a class, so that generic code depends on no search in
            particular. `None` for methods without derivative, which no search that follows one can attack.
        search_on_coils: the same where several coils measured; `None`: `search`, if it serves, or
            `GradientAscent`.
        joint: import path of the `JointStep` by which `JointDescent` attacks a method that minimises.
        unrolled: import path of the `Unrolling` by which `UnrolledAscent` does.
        through_adjoint: whether the method sees the data through `Aᴴy` alone. Only then does `r = Aᴴe` say
            what it was given, so with coils only then is there an amplification.
        on_one_coil, on_coils: import path of what solves for the method where one coil measured, or several;
            the method loads it, and it counts among the method's code there. `None` for methods without.
        seconds_on_coils: what a reconstruction of 15 coils of 640×368 pixels takes, by which jobs that judge
            attacks ask for their time; `None` if nobody has said.
        seeded: whether two calls with the same data differ by a seed, so that `reseeded` makes another method
            of it: random starts of a fit. A trained network's seed is that of its training.
        response: of linear methods that see the data through `Aᴴy` a function of blocks of `AᴴA`,
            `(*block, n, n)`, which couple no other pixels, and of columns `b = Aᴴg` there: what the method
            makes of the data `g`. By it the answer to every small feature is known. `None` for others.
        in_steps: whether it is fitted in steps, so that `shortened` stops it earlier.
        resumable: whether `solve` takes `keep`, a file from which a killed call goes on.
    """

    output: ClassVar[Literal["complex", "magnitude"]] = "complex"
    family: ClassVar[str] = "other"
    search: ClassVar[str | None] = "mrilib.attacks.searches.gradient:GradientAscent"
    search_on_coils: ClassVar[str | None] = None
    joint: ClassVar[str | None] = None
    unrolled: ClassVar[str | None] = None
    through_adjoint: ClassVar[bool] = False
    on_one_coil: ClassVar[str | None] = None
    on_coils: ClassVar[str | None] = None
    seconds_on_coils: ClassVar[float | None] = None
    seeded: ClassVar[bool] = False
    in_steps: ClassVar[bool] = False
    resumable: ClassVar[bool] = False
    response: Callable[[Tensor, Tensor], Tensor] | None = None

    @abstractmethod
    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct, differentiably in `kspace`."""

    def solve(
        self, kspace: Tensor, operator: LinearOperator, *, start: Any = None, throw: bool = True
    ) -> Solution:
        """Reconstruct without derivative, and say how it went.

        Args:
            kspace: `(*batch, ky, kx)`.
            operator: what measured it.
            start: `Solution.state` of a nearby problem, for methods that can use one.
            throw: raise if an iterative method does not reach its accuracy, or if the image is not finite;
                else its status says so.

        Raises:
            FloatingPointError: if the image is not finite.
        """
        with torch.no_grad():
            image = self(kspace, operator)
        wrong = not_finite(image)
        if wrong and throw:
            raise FloatingPointError(
                f"{type(self).__name__}: {Status.NOT_FINITE.value}, {wrong} of {image.numel()} pixels; look "
                "at the parameters of the method and at the data"
            )
        return Solution(image, Status.NOT_FINITE if wrong else Status.CONVERGED, {})

    def steps_on(self, operator: LinearOperator) -> bool:
        """Whether its minimisation can be taken step by step there, of methods with `joint` or `unrolled`.

        Asked of the classes of method and operator alone.
        """
        return True

    def reseeded(self, seed: int) -> "Reconstructor":
        """The same method with another seed of all that it draws.

        Raises:
            ValueError: if the method draws nothing (`seeded`).
        """
        raise ValueError(f"{type(self).__name__}: it draws nothing, so that no seed changes it")

    def shortened(self, steps: int) -> "Reconstructor":
        """The same method, stopped after fewer steps.

        Raises:
            ValueError: if the method is not fitted in steps (`in_steps`).
        """
        raise ValueError(f"{type(self).__name__}: it is not fitted in steps, so that none can be left out")

    def warm_up(self, operator: LinearOperator) -> None:  # noqa: B027
        """Load what the first solve would load, such as compiled loops, so that no measured time has it."""


def observed(reconstructor: Reconstructor, image: Tensor, operator: MeasurementOperator) -> Tensor:
    """What a method returned, to compare with the reference: complex images as coils see them."""
    return operator.seen(image) if reconstructor.output == "complex" else image


def not_finite(image: Tensor) -> int:
    """How many pixels are NaN or infinite."""
    return int((~image.abs().isfinite()).sum())


def check_kspace(kspace: Tensor, where: str) -> None:
    """Raise `ValueError` unless `kspace` is complex and finite."""
    if not kspace.is_complex():
        raise ValueError(
            f"{where}: expected complex kspace, got {kspace.dtype}; convert with .to(torch.complex64)"
        )
    if not bool(torch.isfinite(torch.view_as_real(kspace.detach())).all()):
        raise ValueError(f"{where}: kspace holds NaN or infinite entries; repair or reject the scan")
