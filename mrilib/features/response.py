"""What a linear method makes of a window of a few pixels, at every location, exactly."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators.base import MeasurementOperator, fft2c, ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.coils.data import sampled_axes
from mrilib.solvers.coils.line_inverses import line_kernel, line_normals

# Bounds the memory of the matrices.
LINES_AT_ONCE = 32


def has_responses(method: Reconstructor, operator: MeasurementOperator) -> bool:
    """Whether `window_responses` serves: a linear method, and one coil or a mask of whole lines."""
    if method.response is None:
        return False
    return isinstance(operator, MaskedFourier) or (
        isinstance(operator, CoilFourier)
        and operator.coil_maps.ndim == 3
        and len(sampled_axes(operator.mask)) == 1
    )


def window_responses(
    method: Reconstructor, operator: MeasurementOperator, size: int
) -> Complex[Tensor, "rows columns size size"]:
    """`R A f` inside the window, for the window `f` of ones with its first pixel at every `(row, column)`.

    `rec(y + A f) − rec(y) = R A f` whatever the image. With one coil `R A` is a convolution, the same at
    every location. With several coils and a mask of whole columns it is one matrix `M` a row of the image,
    so that at the pixel `(row + a, column + b)` the answer is `Σ_i M_(row + a)[column + b, column + i]`;
    whole rows are the same, transposed.

    Args:
        method: with a `response`.
        operator: of which `has_responses` is true.
        size: pixels along each side of the window.

    Raises:
        ValueError: if it is not, or if no window of this size fits.
    """
    if not has_responses(method, operator):
        raise ValueError(
            f"window_responses: expected a linear method and one coil, or a mask of whole lines, got "
            f"{type(method).__name__} and {type(operator).__name__}; add the feature to the data instead"
        )
    height, width = operator.mask.shape
    if not 1 <= size <= min(height, width):
        raise ValueError(f"window_responses: expected 1 <= size <= {min(height, width)}, got {size}")
    response = cast(Callable[[Tensor], Tensor], method.response)
    if isinstance(operator, MaskedFourier):
        return _convolved(response, operator, size)
    maps = cast(CoilFourier, operator).coil_maps
    if sampled_axes(operator.mask) == (-1,):
        return _lines(response, maps, operator.mask[0], size)
    found = _lines(response, maps.mT, operator.mask[:, 0], size)
    return found.permute(1, 0, 3, 2)


def _convolved(response: Callable[[Tensor], Tensor], operator: MaskedFourier, size: int) -> Tensor:
    height, width = operator.mask.shape
    gain = response(operator.mask.to(torch.complex128)[..., None, None])[..., 0, 0]
    window = torch.zeros(height, width, dtype=torch.complex128, device=operator.mask.device)
    window[:size, :size] = 1.0
    inside = ifft2c(gain * fft2c(window))[:size, :size]
    return inside.expand(height - size + 1, width - size + 1, size, size)


def _lines(
    response: Callable[[Tensor], Tensor],
    maps: Complex[Tensor, "coil line n"],
    sampled: Tensor,
    size: int,
) -> Complex[Tensor, "rows columns size size"]:
    lines, width = maps.shape[-2:]
    places = width - size + 1
    kernel = line_kernel(torch.fft.ifftshift(sampled), maps.dtype)
    columns = maps.movedim(-2, 0)  # (line, coil, n)
    first = torch.arange(places, device=maps.device)[:, None, None]
    down, across = torch.arange(size, device=maps.device)[:, None], torch.arange(size, device=maps.device)
    found = torch.empty(lines, places, size, dtype=maps.dtype, device=maps.device)
    for start in range(0, lines, LINES_AT_ONCE):
        part = slice(start, start + LINES_AT_ONCE)
        matrices = response(line_normals(kernel, columns[part]))
        found[part] = matrices[:, first + down, first + across].sum(dim=-1)
    return found.unfold(0, size, 1).permute(0, 1, 3, 2)
