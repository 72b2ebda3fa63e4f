"""BART and SigPy on the same multi-coil problem: their reconstructions, and the objectives that all minimise.

All minimise `½‖Az − y‖² + λ·R(z)` with orthonormal transforms, so one λ means the same to all:

- BART scales by `-w 1`, i.e. not at all. On a grid where half of the rows plus half of the columns is odd its
  images are the negative of ours, because it leaves out a constant of its Fourier transform.
- BART's and SigPy's differences are backward, ours forward. Summed apart (`complex`) they give the same norm;
  per pixel (`isotropic`) they are those of the image reversed about its centre, see `backward`.
- BART's wavelet is `db2`. Its depth follows from the size, and it is not periodic: see `Rolled`.
- SigPy's wavelet pads by zeros and is not orthogonal, though its solver takes it to be.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from sigpy import linop, prox
from sigpy.app import LinearLeastSquares
from sigpy.mri.app import L1WaveletRecon, TotalVariationRecon
from torch import Tensor

from benchmarks.clock import processor_seconds
from mrilib.operators.bases import Basis, Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.solvers.bases.shrinkage import shrink

Objective = Callable[[Tensor], float]
# ‖A‖² ≤ 1 and ‖∇‖² ≤ 8 bound the steps of SigPy's primal-dual method: τσ·9 < 1.
PRIMAL_DUAL = 0.99 / 9.0


class Rolled(Wavelet):
    """A wavelet transform of the image rolled along both axes.

    `Rolled("db2", 4, 15)` repeats the interior of BART's transform at 128×128.
    """

    def __init__(self, name: str, levels: int, shift: int) -> None:
        super().__init__(name, levels)
        self.shift = (shift, shift)

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image.roll(self.shift, (-2, -1)))

    def adjoint(self, coefficients: Tensor) -> Tensor:
        return super().adjoint(coefficients).roll((-self.shift[0], -self.shift[1]), (-2, -1))


def l1_objective(kspace: Tensor, operator: CoilFourier, basis: Basis, weight: float) -> Objective:
    """`½‖Az − y‖² + λ‖Ψz‖₁` in float64."""
    return _objective(kspace, operator, lambda image: weight * float(basis.forward(image).abs().sum()))


def variation_objective(kspace: Tensor, operator: CoilFourier, coupling: str, weight: float) -> Objective:
    """`½‖Az − y‖² + λ‖∇z‖₁` of backward differences in float64, coupling `complex` or `isotropic`."""

    def variation(image: Tensor) -> float:
        squares = [(image - image.roll(1, axis)).abs().square() for axis in (-2, -1)]
        if coupling == "isotropic":
            return weight * float((squares[0] + squares[1]).sqrt().sum())
        return weight * float(squares[0].sqrt().sum() + squares[1].sqrt().sum())

    return _objective(kspace, operator, variation)


def _objective(kspace: Tensor, operator: CoilFourier, penalty: Callable[[Tensor], float]) -> Objective:
    exact = CoilFourier(mask=operator.mask, coil_maps=operator.coil_maps.to(torch.complex128))
    data = (kspace * operator.mask).to(torch.complex128)

    def objective(image: Tensor) -> float:
        image = image.to(torch.complex128)
        return 0.5 * float((exact.forward(image) - data).abs().square().sum()) + penalty(image)

    return objective


def about_centre(array: Tensor) -> Tensor:
    """Both axes reversed, index `n` to `(N − n) mod N`; for even `N` this commutes with `fft2c`."""
    return array.flip((-2, -1)).roll((1, 1), (-2, -1))


def backward(kspace: Tensor, operator: CoilFourier) -> tuple[Tensor, CoilFourier]:
    """The problem whose minimiser with forward differences is that of backward ones, reversed."""
    mask, maps = about_centre(operator.mask), about_centre(operator.coil_maps)
    return about_centre(kspace), CoilFourier(mask=mask, coil_maps=maps)


class Bart:
    """`bart pics` on one problem, whose files it keeps in a temporary folder until `close`.

    Raises:
        ValueError: for odd sizes, at which the phase of its images is another than its data's.
        FileNotFoundError: if there is no `bart`.
    """

    def __init__(self, kspace: Tensor, operator: CoilFourier) -> None:
        self.shape = (int(kspace.shape[-2]), int(kspace.shape[-1]))
        if self.shape[0] % 2 or self.shape[1] % 2:
            raise ValueError(f"Bart: expected even sizes, got {self.shape}; crop the image")
        if shutil.which("bart") is None:
            raise FileNotFoundError("Bart: expected the command bart, found none; install BART 0.8")
        self._opened = tempfile.TemporaryDirectory()
        self._folder = Path(self._opened.name)
        for name, array in (("kspace", kspace), ("maps", operator.coil_maps)):
            write_cfl(self._folder / name, array.numpy())

    def close(self) -> None:
        self._opened.cleanup()

    def pics(self, *options: str, steps: int) -> tuple[Tensor, float]:
        """Image after so many steps, and the processor time of it."""
        names = [str(self._folder / name) for name in ("kspace", "maps", "image")]
        start = processor_seconds()
        subprocess.run(
            ["bart", "pics", "-S", "-w", "1", "-i", str(steps), *options, *names],
            check=True,
            capture_output=True,
        )
        seconds = processor_seconds() - start
        flat = np.fromfile(self._folder / "image.cfl", np.complex64)
        sign = -1.0 if sum(size // 2 for size in self.shape) % 2 else 1.0
        return sign * torch.from_numpy(flat.reshape(self.shape, order="F").copy()), seconds


def write_cfl(path: Path, array: np.ndarray) -> None:
    """Coil arrays `(coil, y, x)` with BART's axes: readout, phase encode, 1, coil."""
    array = np.moveaxis(array, 0, -1)[:, :, None]
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.astype(np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))


def sigpy_wavelet(kspace: Tensor, operator: CoilFourier, weight: float, steps: int, name: str) -> Tensor:
    """SigPy's own ℓ1 wavelet reconstruction."""
    app = L1WaveletRecon(
        kspace.numpy(),
        operator.coil_maps.numpy(),
        weight,
        wave_name=name,
        alpha=1.0,
        max_iter=steps,
        show_pbar=False,
    )
    return torch.from_numpy(app.run())


def sigpy_variation(kspace: Tensor, operator: CoilFourier, weight: float, steps: int, sigma: float) -> Tensor:
    """SigPy's TV reconstruction, coupling `complex`, with the dual step `sigma`."""
    app = TotalVariationRecon(
        kspace.numpy(),
        operator.coil_maps.numpy(),
        weight,
        sigma=sigma,
        tau=PRIMAL_DUAL / sigma,
        max_iter=steps,
        show_pbar=False,
    )
    return torch.from_numpy(app.run())


def sigpy_basis(kspace: Tensor, operator: CoilFourier, basis: Basis, weight: float, steps: int) -> Tensor:
    """SigPy's accelerated gradients with a basis of ours, on an image that the basis does not pad."""
    shape, maps = tuple(operator.mask.shape), operator.coil_maps.numpy()
    mask = operator.mask.numpy().astype(np.float32)
    sense = linop.Multiply(maps.shape, mask) * linop.FFT(maps.shape, axes=(-2, -1))
    sense = sense * linop.Multiply(shape, maps)

    class Threshold(prox.Prox):
        def __init__(self) -> None:
            super().__init__(shape)

        def _prox(self, step: float, image: np.ndarray) -> np.ndarray:
            coefficients = basis.forward(torch.from_numpy(image))
            return basis.adjoint(shrink(coefficients, torch.tensor(weight * step))).numpy()

    app = LinearLeastSquares(
        sense, kspace.numpy(), proxg=Threshold(), alpha=1.0, max_iter=steps, show_pbar=False
    )
    return torch.from_numpy(app.run())
