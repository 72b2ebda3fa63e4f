"""`(AᴴA + ρ)⁻¹` where the mask samples whole lines of k-space: one small matrix a line of the image.

A mask of whole columns couples no two rows of the image: `AᴴA` is one matrix a row,

    `G_ij = T_(i−j) Σ_c conj(S_ci) S_cj`,   `T` the inverse transform of the mask's line,

and `(AᴴA + ρ)⁻¹` is as many inverses, taken once. A mask of whole rows is the same, transposed.

On a CPU real and imaginary parts stand apart, so that the product is one pass over the memory in vector
instructions; elsewhere it is a batched product of matrices.
"""

from typing import Any

import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from mrilib.solvers.coils.data import CoilData, Images
from mrilib.solvers.compiled import jit

# Our choice: 1 GB in complex64. Inverses take 66 MB at 224×192 and 0.7 GB at 640×368.
LARGEST_INVERSE = 1 << 27
LINES_AT_ONCE = 32  # bounds the memory of the factorisation


def applies(measurement: CoilData) -> bool:
    """Whether a problem has such inverses: sampled lines, coil maps, enough memory."""
    if len(measurement.transformed) != 1 or measurement.maps is None:
        return False
    # On a CPU items run one at a time.
    together = 1 if measurement.data.device.type == "cpu" else max(1, measurement.data.shape[0])
    entries = measurement.shape[0] * measurement.shape[1] * measurement.shape[measurement.transformed[0]]
    return together * entries <= LARGEST_INVERSE


class LineInverses:
    """`(AᴴA + ρ)⁻¹` of every item.

    Args:
        measurement: `A`, of which `applies` is true.
        penalty: `ρ > 0`, `(batch)`.

    Attributes:
        parts: the matrices `(batch, line, n, n)`; on a CPU their real and imaginary parts.
    """

    def __init__(self, measurement: CoilData, penalty: Float[Tensor, "batch"]) -> None:
        self._across = measurement.transformed == (-1,)
        self.parts = _inverses(measurement, penalty)

    def __getitem__(self, items: Tensor | int) -> "LineInverses":
        found = object.__new__(LineInverses)
        found._across, found.parts = self._across, tuple(part[items] for part in self.parts)
        return found

    def solve(self, image: Images) -> Images:
        """`(AᴴA + ρ)⁻¹ b`."""
        if not self._across:
            return self._multiplied(image.mT).mT
        return self._multiplied(image)

    def _multiplied(self, lines: Complex[Tensor, "batch line n"]) -> Complex[Tensor, "batch line n"]:
        if self.parts[0].shape[0] == 1 < lines.shape[0]:
            return self._shared(lines.movedim(0, -1)).movedim(-1, 0)
        if len(self.parts) == 1:
            return (self.parts[0] @ lines[..., None])[..., 0]
        given = [part.contiguous() for part in (lines.real, lines.imag)]
        found = [torch.empty_like(part) for part in given]
        for item in range(lines.shape[0]):
            arrays = [part[item].numpy() for part in (*self.parts, *given, *found)]
            multiply_lines(*arrays)
        return torch.complex(*found)

    def _shared(self, lines: Complex[Tensor, "line n batch"]) -> Complex[Tensor, "line n batch"]:
        """The matrices of one item on many images: each is read once."""
        if len(self.parts) == 1:
            return self.parts[0][0] @ lines
        real, imag = (part[0] for part in self.parts)
        count = lines.shape[-1]
        given = torch.cat([lines.real, lines.imag], dim=-1)
        by_real, by_imag = real @ given, imag @ given
        return torch.complex(
            by_real[..., :count] - by_imag[..., count:], by_real[..., count:] + by_imag[..., :count]
        )


@jit
def multiply_lines(real, imag, x_real, x_imag, y_real, y_imag):
    """`y = Mx` for every line: `(line, n, n)` and `(line, n)`, in parts."""
    for line in range(real.shape[0]):
        for row in range(real.shape[1]):
            a = b = x_real.dtype.type(0)
            for column in range(real.shape[2]):
                m, w = real[line, row, column], imag[line, row, column]
                u, v = x_real[line, column], x_imag[line, column]
                a += m * u - w * v
                b += m * v + w * u
            y_real[line, row], y_imag[line, row] = a, b


def line_kernel(line: Bool[Tensor, "n"], dtype: torch.dtype) -> Complex[Tensor, "n n"]:
    """`T_(i−j)` of a line of the mask, zero frequency first."""
    size = line.shape[0]
    places = torch.arange(size, device=line.device)
    return torch.fft.ifft(line.to(dtype))[(places[:, None] - places) % size]


def line_normals(
    kernel: Complex[Tensor, "n n"], maps: Complex[Tensor, "*line coil n"]
) -> Complex[Tensor, "*line n n"]:
    """`G` of some lines, of their coil maps."""
    return kernel * (maps.mH @ maps)


def _inverses(measurement: CoilData, penalty: Float[Tensor, "batch"]) -> tuple[Any, ...]:
    dtype, across = measurement.dtype, measurement.transformed == (-1,)
    maps = measurement.maps if across else measurement.maps.mT  # type: ignore[union-attr]
    line = measurement.mask[0] if across else measurement.mask[:, 0]
    size, lines, count = line.shape[0], maps.shape[-2], len(penalty)  # type: ignore[union-attr]
    kernel = line_kernel(line, dtype)
    columns = maps.movedim(-2, -3)  # type: ignore[union-attr]  # (items, line, coil, n)
    apart = line.device.type == "cpu"
    shape, kind = (count, lines, size, size), dtype.to_real() if apart else dtype
    found = tuple(torch.empty(shape, dtype=kind, device=line.device) for _ in range(2 if apart else 1))
    added = penalty[:, None, None, None] * torch.eye(size, dtype=dtype, device=line.device)
    for first in range(0, lines, LINES_AT_ONCE):
        part = slice(first, first + LINES_AT_ONCE)
        factor = torch.linalg.cholesky(line_normals(kernel, columns[:, part]) + added)
        inverse = torch.cholesky_inverse(factor)
        for whole, values in zip(found, (inverse.real, inverse.imag) if apart else (inverse,), strict=True):
            whole[:, part] = values
    return found
