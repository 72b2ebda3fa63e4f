"""The ADMM step for batches and for devices other than one core: `fused` in torch.

A step is two passes over the batch and two FFTs. On CUDA the passes are compiled, so that each reads and
writes its tensors once; elsewhere they run as they stand, and are what the tests compare with.
"""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.operators.gradient import divergence
from mrilib.solvers.couplings import Field
from mrilib.solvers.problem import OVER_RELAXATION, Problem

Parts = Float[Tensor, "batch 2 y x 2"]
Clip = Callable[[Tensor, Tensor], Tensor]


def clip_split(state: Tensor, threshold: Tensor) -> Tensor:
    """`s − S(s)` for every part apart; `(batch, 2, y, x, part)`, as of the next three."""
    return torch.minimum(torch.maximum(state, -threshold), threshold)


def clip_complex(state: Tensor, threshold: Tensor) -> Tensor:
    """`s − S(s)` for the modulus of every difference."""
    squares = state.square().sum(-1, keepdim=True)
    return state * (threshold * torch.rsqrt(torch.maximum(squares, threshold.square())))


def clip_isotropic(state: Tensor, threshold: Tensor) -> Tensor:
    """`s − S(s)` for the modulus of a pixel's differences."""
    squares = state.square().sum((-4, -1), keepdim=True)
    return state * (threshold * torch.rsqrt(torch.maximum(squares, threshold.square())))


def clip_paired(state: Tensor, threshold: Tensor) -> Tensor:
    """`s − S(s)` of real parts, and of imaginary parts `t − 1[|s| > τ]·t`: the linearised problem."""
    value, linear = state[..., 0], state[..., 1]
    limit = threshold[..., 0]
    clipped = torch.minimum(torch.maximum(value, -limit), limit)
    return torch.stack([clipped, torch.where(value.abs() > limit, 0.0, linear)], dim=-1)


RULES: dict[str, Clip] = {"split": clip_split, "complex": clip_complex, "isotropic": clip_isotropic}


def sweep(
    image: Float[Tensor, "batch y x 2"],
    state: Parts,
    threshold: Tensor,
    relax: float,
    clip: Clip,
    source: Float[Tensor, "batch y x 2"] | None,
) -> tuple[Parts, Float[Tensor, "batch y x 2"]]:
    """`s ← s + α(∇x − S(s))`, and `∇ᵀv` (plus `source`) for `v = 2S(s) − s`."""
    slope = torch.stack([torch.roll(image, -1, -2) - image, torch.roll(image, -1, -3) - image], dim=1)
    state = state + relax * (slope - state + clip(state, threshold))
    along_x, along_y = (state - 2.0 * clip(state, threshold)).unbind(1)
    reflected = torch.roll(along_x, 1, -2) - along_x + torch.roll(along_y, 1, -3) - along_y
    return state, reflected if source is None else reflected + source


def blend(state: Parts, mean: Parts, threshold: Tensor, share: float, clip: Clip) -> Parts:
    """`v̄ + share·(v − v̄)`."""
    return mean + share * (state - 2.0 * clip(state, threshold) - mean)


def filtered(spectrum: Tensor, data: Tensor, rho: Tensor, inverse: Tensor) -> Tensor:
    """`(data + ρ·spectrum)·inverse`, all of real parts."""
    return (data + rho * spectrum) * inverse


class Compiled:
    """A function compiled by torch; where that fails, itself, with one warning.

    Args:
        function: maps tensors, batch axis first.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        # Unwrapped: under pytest jaxtyping wraps every function, and that torch cannot compile.
        self._plain = inspect.unwrap(function)
        self._function = torch.compile(self._plain)

    def __call__(self, *arguments: Any) -> Any:
        if self._function is not self._plain:
            try:
                for tensor in arguments:
                    if isinstance(tensor, Tensor) and tensor.ndim > 2 and tensor.shape[0] > 1:
                        torch._dynamo.maybe_mark_dynamic(tensor, 0)
                return self._function(*arguments)
            except torch.OutOfMemoryError:
                raise  # the caller takes smaller batches
            except Exception as error:  # noqa: BLE001 - whatever a compiler raises
                reason = (str(error).splitlines() or [""])[0]
                warnings.warn(
                    f"{self._plain.__name__}: torch.compile failed ({type(error).__name__}: {reason}); goes "
                    "on in plain torch, several times slower",
                    RuntimeWarning,
                    stacklevel=2,
                )
                self._function = self._plain
        return self._plain(*arguments)


@functools.cache
def passes(device: str) -> tuple[Callable[..., Any], ...]:
    """`sweep`, `blend` and `filtered` as they run on a type of device."""
    plain = (sweep, blend, filtered)
    return tuple(Compiled(function) for function in plain) if device == "cuda" else plain


class BatchLoop:
    """The step for a batch, with the interface of `FusedLoop`.

    Attributes:
        data: `fft2(Aᴴy)`, complex; may be changed between steps.
        source: with `paired`, `d/ρ` as a complex image with no real part, added to `reflected` in every
            step; none at first.
        image, spectrum: of the latest `solve`.
        reflected: `∇ᵀv` of the latest `update`.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        paired: bool,
        inverse: Tensor | None = None,
        relaxation: float = OVER_RELAXATION,
    ) -> None:
        self.data = problem.data
        self.source: Tensor | None = None
        inverse = problem.inverse() if inverse is None else inverse
        self._inverse = inverse[..., None]
        self._rho = problem.rho[..., None, None, None]
        self._threshold = problem.threshold[..., None]
        self._clip = inspect.unwrap(clip_paired if paired else RULES[problem.coupling])
        self._relax = relaxation
        self._sweep, self._blend, self._filtered = passes(problem.data.device.type)

    def load(self, state: Field, mean: Field | None = None) -> None:
        """Start from `state`, complex `(batch, 2, y, x)`; `mean` is where `average` starts, else there."""
        self._parts = _real(state)
        self._mean = self._parts if mean is None else _real(mean)
        reflected = self._parts - 2.0 * self._clip(self._parts, self._threshold)
        self.reflected = divergence(torch.view_as_complex(reflected))
        if self.source is not None:
            self.reflected = self.reflected + self.source

    def solve(self) -> None:
        """`image` from `reflected`."""
        spectrum = torch.view_as_real(torch.fft.fft2(self.reflected))
        spectrum = self._filtered(spectrum, _real(self.data), self._rho, self._inverse)
        self.spectrum = torch.view_as_complex(spectrum)
        self.image = torch.fft.ifft2(self.spectrum)

    def update(self) -> None:
        """The new state, and `reflected` from `image`."""
        source = None if self.source is None else _real(self.source)
        image = torch.view_as_real(self.image)
        self._parts, reflected = self._sweep(
            image, self._parts, self._threshold, self._relax, self._clip, source
        )
        self.reflected = torch.view_as_complex(reflected.contiguous())

    def step(self) -> None:
        """One step."""
        self.solve()
        self.update()

    def average(self, share: float) -> None:
        """Move the mean by `share` of its distance to `v = 2S(s) − s`."""
        self._mean = self._blend(self._parts, self._mean, self._threshold, share, self._clip)

    def state(self) -> Field:
        """The state as a complex tensor `(batch, 2, y, x)`."""
        return torch.view_as_complex(self._parts)

    def mean(self) -> Field:
        """What `average` has come to, likewise."""
        return torch.view_as_complex(self._mean)

    def keep(self, items: Tensor) -> None:
        """Drop the others; `data` and `source` are the caller's."""
        self._parts, self.reflected = self._parts[items], self.reflected[items]


def _real(values: Complex[Tensor, "*batch y x"]) -> Float[Tensor, "*batch y x 2"]:
    return torch.view_as_real(values.resolve_conj())
