"""Many coils as few virtual ones."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.data.intensity import peak_of

# Our choice: samples of all coils that are in double precision at once, 134 MB of 128 coils.
SAMPLES_AT_ONCE = 1 << 16
# Moduli closer than this to the largest count as it, so that rounding does not choose which entry is real.
ALIKE = 1e-6


@dataclass(frozen=True)
class CoilCompression:
    """Which volumes are compressed, and how far: see `compress_coils`.

    Args:
        share: of the energy, that virtual coils keep.
        from_coils: number of coils, those that are zero left out, from which on a volume is compressed.
    """

    share: float
    from_coils: int

    def share_of(self, coils: int) -> float | None:
        """The share for a volume of so many coils; `None` where it is not compressed."""
        return self.share if coils >= self.from_coils else None


@torch.no_grad()
def compress_coils(
    kspace: Complex[Tensor, "coil ky kx"], *, share: float
) -> tuple[Complex[Tensor, "virtual ky kx"], Complex[Tensor, "virtual coil"]]:
    """Virtual coils `k̃ = V k`: the fewest principal components of one slice with `share` of its energy.

    With `k(i)` the samples of all coils at entry `i` of k-space, and the eigenvalues `σ₁² ≥ σ₂² ≥ …` and
    eigenvectors `u₁, u₂, …` of

        C = Σ_i k(i) k(i)ᴴ,    V = (u₁, …, u_v)ᴴ,    Σ_{j ≤ v} σ_j² ≥ share·Σ_j σ_j².

    `V Vᴴ = 1`, so that white noise stays white, and no pixel's RSS grows: that of the virtual coils is at
    most that of all, and the squares differ by `(1 − share)·‖k‖²` at most, over all pixels together. The
    first of the largest entries of each row of `V` is positive. Eigenvectors of equal eigenvalues are
    determined up to a rotation.

    `C` is summed in double precision. Eigenvalues that are rounding of zero count as zero.

    Args:
        kspace: of one slice.
        share: energy that is kept, in (0, 1].

    Returns:
        K-space of the virtual coils, the strongest first, and `V`, both of the dtype and device of `kspace`.

    Raises:
        ValueError: if `kspace` is of another shape, not finite or zero, or `share` out of range.

    Source: [buehrer2007], [huang2008]. Our choice: the number of coils by their energy, for every slice anew.
    """
    if kspace.ndim != 3:
        raise ValueError(
            f"compress_coils: expected kspace (coil, ky, kx) of one slice, got {tuple(kspace.shape)}; loop "
            "over slices"
        )
    if not 0.0 < share <= 1.0:
        raise ValueError(f"compress_coils: expected 0 < share <= 1, got {share}")
    # Squares of values that are divided by it neither overflow nor vanish.
    peak = peak_of(kspace, "compress_coils")
    samples = kspace.reshape(len(kspace), -1)
    products = torch.zeros(len(kspace), len(kspace), dtype=torch.complex128, device=kspace.device)
    for part in samples.split(SAMPLES_AT_ONCE, dim=1):
        part = part.to(torch.complex128) / peak
        products += part @ part.mH
    values, vectors = torch.linalg.eigh(products)
    values, rows = values.flip(0), vectors.mH.flip(0)
    rounding = len(values) * torch.finfo(values.dtype).eps * values[0]
    energy = torch.where(values > rounding, values, 0.0).cumsum(0)
    count = 1 + int((energy < share * energy[-1]).sum())
    matrix = _turned(rows[:count]).to(kspace.dtype)
    return (matrix @ samples).reshape(count, *kspace.shape[1:]), matrix


def _turned(rows: Complex[Tensor, "row coil"]) -> Complex[Tensor, "row coil"]:
    """The rows, each times the phase that makes the first of its largest entries positive."""
    moduli = rows.abs()
    first = (moduli > (1.0 - ALIKE) * moduli.amax(dim=1, keepdim=True)).long().argmax(dim=1, keepdim=True)
    return rows * rows.gather(1, first).sgn().conj()
