"""Orthonormal bases of complex images: periodic wavelets, cosines, Fourier."""

import functools
import math
from typing import Annotated, Any, ClassVar

import pywt
import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor

from mrilib.operators.base import LinearOperator, fft2c, ifft2c

# Fewest pixels of the coarsest band of wavelets, unless the image is that small itself. Our choice.
COARSEST = 8


class Basis(LinearOperator):
    """Analysis operator `Ψ` on complex images with `ΨᴴΨ = I`: forward gives coefficients, adjoint inverts.

    Coefficients of `(*batch, y, x)` are one tensor `(*batch, *coefficient_shape(y, x))`. Where that shape is
    larger than the image, `Ψ` is an orthonormal basis of the larger grid after zero-padding: `ΨᴴΨ = I`, but
    `ΨΨᴴ` projects.
    """

    def coefficient_shape(self, height: int, width: int) -> tuple[int, int]:
        """Shape of the coefficients of an image of this size."""
        return height, width

    def adjoint_to(
        self, coefficients: Complex[Tensor, "*batch cy cx"], height: int, width: int
    ) -> Complex[Tensor, "*batch y x"]:
        """`Ψᴴ c` for images of this size: the inverse on the larger grid, cropped.

        Raises:
            ValueError: if the coefficients are not those of such an image.
        """
        expected = self.coefficient_shape(height, width)
        if tuple(coefficients.shape[-2:]) != expected:
            raise ValueError(
                f"{type(self).__name__}.adjoint_to: expected coefficients (..., {expected[0]}, "
                f"{expected[1]}) of an image of {height}×{width}, got {tuple(coefficients.shape)}; "
                "take those that forward returns"
            )
        return self.adjoint(coefficients)[..., :height, :width]

    def to(self, device: torch.device | str) -> "Basis":
        """The same: a basis takes its coefficients to the device of what it is applied to."""
        return self


class Wavelet(Basis):
    """Orthogonal periodic discrete wavelet transform of both axes, equal to PyWavelets' `periodization`.

    One level is `W_y X W_xᵀ`, `W` an orthogonal matrix with the low-pass rows above the high-pass rows; the
    next level transforms the low-low quarter in its place. So the approximation stands at the upper left
    and the details around it. An image whose sides are not divisible by `2^levels` is zero-padded below and
    on the right, an isometry; `adjoint` returns the padded grid, `adjoint_to` crops.

    `ptwt` is not used: its `periodic` mode keeps the filters'
    overhang (9×11 coefficients of 24×40 at three levels of db4, where 3×5 are critical) and is no
    orthonormal basis, and its boundary filters are not periodic.

    Args:
        name: orthogonal wavelet as PyWavelets names it, `db1`, `db2`, …; `dbN` has 2N taps.
        levels: number of levels `L`, at least 1; by default what leaves the coarsest band 8 to 15 pixels on
            the image's shorter side: 3 for 61 to 120 pixels, 4 to 240, 5 to 480.

    Raises:
        ValueError: for a wavelet that is unknown or not orthogonal, and fewer levels than 1.

    Source: [mallat1989]; boundary as in PyWavelets. Padding is our choice.
    """

    word: ClassVar[str] = "wavelet"

    def __init__(self, name: str = "db4", levels: Annotated[int, Field(ge=1)] | None = None) -> None:
        if name not in pywt.wavelist(kind="discrete") or not pywt.Wavelet(name).orthogonal:
            raise ValueError(
                f"Wavelet: expected an orthogonal wavelet such as db4, got {name!r}; "
                "pywt.wavelist('db') lists some"
            )
        if levels is not None and levels < 1:
            raise ValueError(f"Wavelet: expected levels >= 1, got {levels}")
        self.name = name
        self.levels = None if levels is None else int(levels)

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, levels: int | None = None, **others: Any) -> None:
        """Raise `ValueError` if the last level of images of `(rows, columns)` would be padding alone."""
        if levels is not None and min(shape) < 2**levels:
            raise ValueError(
                f"Wavelet: expected images of at least {2**levels}×{2**levels} for {levels} levels, got "
                f"{shape[0]}×{shape[1]}; take fewer levels or larger images"
            )

    def levels_of(self, height: int, width: int) -> int:
        """Number of levels for images of this size, the same for the grid of their coefficients."""
        if self.levels is not None:
            return self.levels
        # The most with ⌈s/2^(L−1)⌉ > 15; padding the side s to a multiple of 2^L does not change it.
        return max(1, ((min(height, width) - 1) // (2 * COARSEST - 1)).bit_length())

    def coefficient_shape(self, height: int, width: int) -> tuple[int, int]:
        block = 2 ** self.levels_of(height, width)
        return -(-height // block) * block, -(-width // block) * block

    def forward(self, image: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch cy cx"]:
        """Coefficients of the padded image, the approximation at the upper left."""
        height, width = image.shape[-2:]
        rows, columns = self.coefficient_shape(height, width)
        whole = torch.nn.functional.pad(image, (0, columns - width, 0, rows - height))
        for level in range(self.levels_of(rows, columns)):
            block = whole[..., : rows >> level, : columns >> level]
            whole = _replaced(whole, _along_both(block, self.name, False))
        return whole

    def adjoint(self, coefficients: Complex[Tensor, "*batch cy cx"]) -> Complex[Tensor, "*batch y x"]:
        """Image on the grid of the coefficients, uncropped.

        Raises:
            ValueError: if the sides are not divisible by `2^levels`.
        """
        rows, columns = coefficients.shape[-2:]
        levels = self.levels_of(rows, columns)
        if self.coefficient_shape(rows, columns) != (rows, columns):
            raise ValueError(
                f"Wavelet.adjoint: expected sides divisible by {2**levels}, got "
                f"{tuple(coefficients.shape)}; take the coefficients that forward returns"
            )
        whole = coefficients
        for level in reversed(range(levels)):
            block = whole[..., : rows >> level, : columns >> level]
            whole = _replaced(whole, _along_both(block, self.name, True))
        return whole


class Cosine(Basis):
    """Orthonormal discrete cosine transform (DCT-II) of both axes.

    `c_k = s_k Σ_n x_n cos(π(2n + 1)k/2N)`, `s_0 = √(1/N)`, else `s_k = √(2/N)`; one FFT of length N an axis.

    Source: [makhoul1980].
    """

    word: ClassVar[str] = "cosine"

    def forward(self, image: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y x"]:
        return _cosine(_cosine(image).mT).mT.contiguous()

    def adjoint(self, coefficients: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y x"]:
        return _inverse_cosine(_inverse_cosine(coefficients).mT).mT.contiguous()


class FourierBasis(Basis):
    """Centred orthonormal Fourier transform of the image."""

    word: ClassVar[str] = "fourier"

    def forward(self, image: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y x"]:
        return fft2c(image)

    def adjoint(self, coefficients: Complex[Tensor, "*batch y x"]) -> Complex[Tensor, "*batch y x"]:
        return ifft2c(coefficients)


class _Level(torch.autograd.Function):
    """One level of both axes; its derivative is the transpose, which autograd would take tap by tap."""

    @staticmethod
    def forward(ctx: Any, block: Tensor, name: str, inverse: bool) -> Tensor:
        ctx.name, ctx.inverse = name, inverse
        if inverse:
            return synthesise(synthesise(block, name, -1), name, -2)
        return analyse(analyse(block, name, -2), name, -1)

    @staticmethod
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor, None, None]:
        return _along_both(cotangent, ctx.name, not ctx.inverse), None, None


def _along_both(block: Tensor, name: str, inverse: bool) -> Tensor:
    return _Level.apply(block, name, inverse)


def _replaced(whole: Tensor, corner: Tensor) -> Tensor:
    """`whole` with its upper left replaced."""
    if whole.shape == corner.shape:
        return corner
    changed = whole.clone()
    changed[..., : corner.shape[-2], : corner.shape[-1]] = corner
    return changed


def analyse(image: Complex[Tensor, "*batch y x"], name: str, axis: int) -> Complex[Tensor, "*batch y x"]:
    """One level along `axis` (−2 or −1): low-pass half, then high-pass half.

    PyWavelets' `periodization`: `c_i = Σ_j h_j x_{(2i + L/2 − j) mod N}` for `L` taps `h`. On a CPU even and
    odd samples are shifted and added for each tap; elsewhere, where a launch costs more than the
    arithmetic, it is the product with `level_matrix`.
    """
    parts = torch.view_as_real(image.resolve_conj())
    if image.device.type != "cpu":
        return torch.view_as_complex(_along(axis, level_matrix(name, image.shape[axis], parts), parts))
    axis, half = axis - 1, image.shape[axis] // 2
    phases = [_extended(_every_second(parts, axis, first), axis, name) for first in (0, 1)]
    result = torch.zeros_like(parts, memory_format=torch.contiguous_format)
    low, high = result.narrow(axis, 0, half), result.narrow(axis, half, half)
    for shift, low_tap, high_tap in _taps(name):
        moved = phases[shift % 2].narrow(axis, _reach(name) + shift // 2, half)
        low.add_(moved, alpha=low_tap)
        high.add_(moved, alpha=high_tap)
    return torch.view_as_complex(result)


def synthesise(
    coefficients: Complex[Tensor, "*batch y x"], name: str, axis: int
) -> Complex[Tensor, "*batch y x"]:
    """Transpose and inverse of `analyse`."""
    parts = torch.view_as_real(coefficients.resolve_conj())
    if coefficients.device.type != "cpu":
        matrix = level_matrix(name, coefficients.shape[axis], parts)
        return torch.view_as_complex(_along(axis, matrix.mT, parts))
    axis, half = axis - 1, coefficients.shape[axis] // 2
    low, high = (_extended(parts.narrow(axis, first, half), axis, name) for first in (0, half))
    phases = [torch.zeros_like(parts.narrow(axis, 0, half)) for _ in range(2)]
    for shift, low_tap, high_tap in _taps(name):
        start = _reach(name) - shift // 2
        phases[shift % 2].add_(low.narrow(axis, start, half), alpha=low_tap)
        phases[shift % 2].add_(high.narrow(axis, start, half), alpha=high_tap)
    # a new axis behind the samples' own interleaves even and odd ones
    return torch.view_as_complex(torch.stack(phases, dim=axis).flatten(axis - 1, axis))


def _along(axis: int, matrix: Float[Tensor, "n n"], parts: Tensor) -> Tensor:
    """`matrix` applied along an axis of complex numbers seen as `(..., y, x, 2)`."""
    if axis == -2:
        return (matrix @ parts.flatten(-2)).unflatten(-1, (-1, 2))
    return matrix @ parts


def _every_second(parts: Tensor, axis: int, first: int) -> Tensor:
    return parts.unflatten(axis, (-1, 2)).select(axis, first)


def _extended(parts: Tensor, axis: int, name: str) -> Tensor:
    """Continued periodically on both sides, as far as the filter reaches."""
    size, reach = parts.shape[axis], _reach(name)
    if reach > size:
        places = torch.arange(-reach, size + reach, device=parts.device) % size
        return parts.index_select(axis, places)
    return torch.cat([parts.narrow(axis, size - reach, reach), parts, parts.narrow(axis, 0, reach)], axis)


@functools.cache
def _taps(name: str) -> tuple[tuple[int, float, float], ...]:
    """Shift `L/2 − j`, low-pass and high-pass tap for every `j`."""
    wavelet = pywt.Wavelet(name)
    pairs = zip(wavelet.dec_lo, wavelet.dec_hi, strict=True)
    return tuple((wavelet.dec_len // 2 - place, low, high) for place, (low, high) in enumerate(pairs))


def _reach(name: str) -> int:
    return len(_taps(name)) // 4 + 1


@functools.lru_cache(maxsize=64)
def _stored_matrix(name: str, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    matrix = torch.zeros((size, size), dtype=torch.float64)
    half = size // 2
    for shift, low, high in _taps(name):
        for row in range(half):
            column = (2 * row + shift) % size
            matrix[row, column] += low
            matrix[half + row, column] += high
    return matrix.to(device=device, dtype=dtype)


def level_matrix(name: str, size: int, like: Tensor) -> Float[Tensor, "size size"]:
    """The orthogonal matrix of `analyse`, in the precision and on the device of `like`."""
    return _stored_matrix(name, size, like.dtype, like.device)


@functools.lru_cache(maxsize=64)
def _twiddles(size: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Order of the samples, its inverse, `exp(−iπk/2N)` and the scales of the orthonormal transform."""
    order = torch.cat([torch.arange(0, size, 2), torch.arange(1, size, 2).flip(0)])
    frequencies = torch.arange(size, dtype=torch.float64)
    phases = torch.exp(-0.5j * math.pi * frequencies / size)
    scales = torch.full((size,), math.sqrt(2.0 / size), dtype=torch.float64)
    scales[0] = math.sqrt(1.0 / size)
    return (
        order.to(device),
        torch.argsort(order).to(device),
        phases.to(device=device, dtype=dtype),
        scales.to(device=device, dtype=dtype.to_real()),
    )


def _cosine(array: Tensor) -> Tensor:
    """DCT-II of the last axis: `c_k = s_k·½(p_k V_k + p̄_k V_{N−k})`, `V` the FFT of the reordered samples."""
    order, _, phases, scales = _twiddles(array.shape[-1], array.dtype, array.device)
    spectrum = torch.fft.fft(array[..., order], dim=-1)
    mirrored = torch.roll(spectrum.flip(-1), 1, -1)
    return 0.5 * scales * (phases * spectrum + phases.conj() * mirrored)


def _inverse_cosine(coefficients: Tensor) -> Tensor:
    """Its inverse: `V_k = p̄_k(c_k/s_k − i·c_{N−k}/s_{N−k})`, where `c_N = 0`."""
    _, inverse, phases, scales = _twiddles(coefficients.shape[-1], coefficients.dtype, coefficients.device)
    scaled = coefficients / scales
    mirrored = torch.roll(scaled.flip(-1), 1, -1).clone()
    mirrored[..., 0] = 0.0
    spectrum = phases.conj() * (scaled - 1j * mirrored)
    return torch.fft.ifft(spectrum, dim=-1)[..., inverse]
