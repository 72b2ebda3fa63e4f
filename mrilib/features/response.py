"""What a linear method makes of a window of a few pixels, at every location, exactly."""

from collections.abc import Callable
from typing import cast

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.data.features import Coils
from mrilib.operators.base import MeasurementOperator, fft2c, ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.base import Reconstructor
from mrilib.solvers.coils.data import sampled_axes
from mrilib.solvers.coils.line_inverses import line_kernel, line_normals

# Bounds the memory of the matrices.
LINES_AT_ONCE = 32
Response = Callable[[Tensor, Tensor], Tensor]


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
    method: Reconstructor,
    operator: MeasurementOperator,
    size: int,
    carrier: Complex[Tensor, "y x"],
    *,
    coils: Coils = "maps",
) -> Complex[Tensor, "rows columns size size"]:
    """`rec(y + g) − rec(y)` inside the window, `g` the data of a window of `u`, at every location.

    It does not depend on the image: the method is linear. `g = A (w u)` (`maps`) or `g_c = P_Ω F (w u)` for
    every coil (`constant`), `w` being 1 in the window with its first pixel at `(row, column)`. With one coil
    the answer is a convolution with one kernel. With several coils and a mask of whole columns it is one
    matrix `M` a row of the image, so that at the pixel `(row + a, column + b)` it is

        `Σ_i M_(row + a)[column + b, column + i] u[row + a, column + i]`;

    whole rows are the same, transposed.

    Args:
        method: with a `response`.
        operator: of which `has_responses` is true.
        size: pixels along each side of the window.
        carrier: `u`, on the operator's grid: the phase that the feature has at every pixel.
        coils: how coils see it.

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
    response = cast(Response, method.response)
    if isinstance(operator, MaskedFourier):
        return _convolved(response, operator, size, carrier)
    maps = cast(CoilFourier, operator).coil_maps
    if sampled_axes(operator.mask) == (-1,):
        return _lines(response, maps, operator.mask[0], size, carrier.to(maps), coils)
    found = _lines(response, maps.mT, operator.mask[:, 0], size, carrier.to(maps).mT, coils)
    return found.permute(1, 0, 3, 2)


def _convolved(response: Response, operator: MaskedFourier, size: int, carrier: Tensor) -> Tensor:
    height, width = operator.mask.shape
    normal = operator.mask.to(torch.complex128)[..., None, None]
    point = torch.zeros(height, width, dtype=torch.complex128, device=operator.mask.device)
    point[0, 0] = 1.0
    kernel = ifft2c(response(normal, normal)[..., 0, 0] * fft2c(point))
    places = torch.cartesian_prod(torch.arange(size), torch.arange(size)).to(operator.mask.device)
    apart = places[:, None] - places[None]
    matrix = kernel[apart[..., 0] % height, apart[..., 1] % width]
    windows = carrier.to(matrix).unfold(0, size, 1).unfold(1, size, 1)
    return (windows.flatten(-2) @ matrix.T).reshape(windows.shape)


def _lines(
    response: Response,
    maps: Complex[Tensor, "coil line n"],
    sampled: Tensor,
    size: int,
    carrier: Complex[Tensor, "line n"],
    coils: Coils,
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
        normal = line_normals(kernel, columns[part])
        seen = normal if coils == "maps" else columns[part].sum(dim=-2).conj()[..., None] * kernel
        matrices = response(normal, seen)
        blocks = matrices[:, first + down, first + across]
        found[part] = (blocks * carrier[part][:, first + across]).sum(dim=-1)
    return found.unfold(0, size, 1).permute(0, 1, 3, 2)
