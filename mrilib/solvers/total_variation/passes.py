"""What a step of `batched` does between its transforms: passes over a batch in torch, compiled on CUDA."""

import functools
import inspect
import types
import warnings
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

Parts = Float[Tensor, "batch 2 y x 2"]
Pixels = Float[Tensor, "batch y x 2"]
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


def move(out: Parts, image: Pixels, state: Parts, threshold: Tensor, relax: float, clip: Clip) -> None:
    """`out ← s + α(∇x − S(s))`.

    Into other memory than the state's: where a pixel's parts shrink together, each of them reads the others.
    """
    slope = torch.stack([torch.roll(image, -1, -2) - image, torch.roll(image, -1, -3) - image], dim=1)
    torch.add(state, slope - state + clip(state, threshold), alpha=relax, out=out)


def turn(out: Pixels, state: Parts, threshold: Tensor, clip: Clip, source: Pixels | None) -> None:
    """`out ← ∇ᵀv`, plus `source`, for `v = 2S(s) − s`."""
    along_x, along_y = (state - 2.0 * clip(state, threshold)).unbind(1)
    reflected = torch.roll(along_x, 1, -2) - along_x + torch.roll(along_y, 1, -3) - along_y
    out.copy_(reflected if source is None else reflected + source)


def blend(mean: Parts, state: Parts, threshold: Tensor, share: Tensor, clip: Clip) -> None:
    """`v̄ ← v̄ + share·(v − v̄)`."""
    mean.add_(share * (state - 2.0 * clip(state, threshold) - mean))


def filtered(spectrum: Tensor, data: Tensor, rho: Tensor, inverse: Tensor) -> Tensor:
    """`(data + ρ·spectrum)·inverse`, all of real parts."""
    return (data + rho * spectrum) * inverse


# Compute differences and shrunk values again where a neighbour needs them, instead of storing them.
FUSED: dict[str, Any] = {
    "force_pointwise_cat": True,
    "realize_reads_threshold": 64,
    "realize_opcount_threshold": 512,
}


class Compiled:
    """A function compiled by torch; where that fails, itself, with one warning.

    Args:
        function: maps tensors, batch axis first.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        # Unwrapped: under pytest jaxtyping wraps every function, and that torch cannot compile.
        self._plain = inspect.unwrap(function)
        # Of a code object torch keeps eight variants (precision, batches of one, source): a copy of it for
        # every rule. `isolate_recompiles`, which is for this, torch has from 2.12 on only.
        own = types.FunctionType(self._plain.__code__.replace(), self._plain.__globals__)
        self._function: Callable[..., Any] = torch.compile(own, options=FUSED)

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
def passes_for(device: str, clip: Clip) -> tuple[Callable[..., Any], ...]:
    """`move`, `turn`, `blend` and `filtered` as they run for one rule on a type of device."""
    plain = (move, turn, blend, filtered)
    return tuple(Compiled(function) for function in plain) if device == "cuda" else plain
