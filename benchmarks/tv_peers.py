"""Other packages' solvers of total variation, each on the coupling that it minimises.

What a package lacks is supplied by the shortest code in its own terms: differences and their proximal map.
"""

import importlib
import importlib.metadata
import importlib.util
import shutil
import subprocess
import weakref
from collections.abc import Sequence
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmarks.tv_solvers import Implementation, ReferenceADMM, Task
from mrilib.operators.gradient import divergence, gradient

# ‖A‖² + ‖∇‖² ≤ 1 + 8
BOUND = 9.0


class _Package(Implementation):
    """Of an installed Python package."""

    package: ClassVar[str]

    @classmethod
    def installed(cls) -> bool:
        return importlib.util.find_spec(cls.package) is not None

    @property
    def version(self) -> str:
        return f"{self.package} {importlib.metadata.version(self.package)}"


class SigpyPrimalDual(_Package):
    """SigPy's `TotalVariationRecon` with its own solver and `τ = 1/(9σ)`; its default is `σ = 1`."""

    name, package = "SigPy PDHG", "sigpy"
    grid: ClassVar[Sequence[dict[str, float]]] = [
        {"σ": value} for value in (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.16)
    ]
    _solver: ClassVar[str] = "PrimalDualHybridGradient"

    def _begin(self) -> None:
        apps = importlib.import_module("sigpy.mri.app")
        kspace = self.task.kspace.numpy()[None]
        self._app: Any = apps.TotalVariationRecon(
            kspace,
            np.ones_like(kspace),
            self.task.weight,
            solver=self._solver,
            show_pbar=False,
            **self._arguments(),
        )

    def _arguments(self) -> dict[str, float]:
        sigma = self.settings["σ"]
        return {"sigma": sigma, "tau": 1.0 / (BOUND * sigma)}

    def _advance(self, steps: int) -> None:
        for _ in range(steps):
            self._app.alg.update()

    def image(self) -> Tensor:
        return torch.from_numpy(self._app.x.copy())


class SigpyADMM(SigpyPrimalDual):
    """The same with SigPy's ADMM, which solves for the image by conjugate gradients."""

    name = "SigPy ADMM"
    grid: ClassVar[Sequence[dict[str, float]]] = [
        {"ρ": rho, "CG steps": inner} for rho in (0.05, 0.1, 0.2) for inner in (2, 4)
    ]
    _solver = "ADMM"

    @property
    def inner(self) -> int:
        return int(self.settings["CG steps"])

    def _arguments(self) -> dict[str, float]:
        return {"rho": self.settings["ρ"], "max_cg_iter": self.inner}


class Bart(Implementation):
    """`bart pics -R T:3:0:λ -w 1 -m`: steps are those of `-i`, applications of the normal operator.

    BART takes backward differences: forward ones of the image read backwards, whose transform is, too.
    """

    name = "BART ADMM"
    resumable = False
    grid: ClassVar[Sequence[dict[str, float]]] = [
        {"ρ": rho, "CG steps": inner} for rho in (0.01, 0.02, 0.03, 0.05, 0.1) for inner in (4, 10)
    ]

    def __init__(self, task: Task, **settings: float) -> None:
        self._folder = mkdtemp()
        weakref.finalize(self, shutil.rmtree, self._folder)
        data = _mirrored(task.kspace.numpy())
        for name, array in (("kspace", data), ("maps", np.ones_like(data))):
            path = Path(self._folder, name)
            path.with_suffix(".hdr").write_text(f"# Dimensions\n{array.shape[0]} {array.shape[1]} 1 1\n")
            array.ravel(order="F").tofile(path.with_suffix(".cfl"))
        super().__init__(task, **settings)

    @classmethod
    def installed(cls) -> bool:
        return shutil.which("bart") is not None

    @property
    def version(self) -> str:
        found = subprocess.run(["bart", "version"], capture_output=True, text=True, check=True)
        return f"bart {found.stdout.strip()}"

    def _begin(self) -> None:
        pass

    def _advance(self, steps: int) -> None:
        pass

    def image(self) -> Tensor:
        rho, inner = self.settings["ρ"], int(self.settings["CG steps"])
        options = f"-S -w 1 -m -u {rho} -C {inner} -i {self.taken} -R T:3:0:{self.task.weight}"
        subprocess.run(
            ["bart", "pics", *options.split(), "kspace", "maps", "image"],
            cwd=self._folder,
            check=True,
            capture_output=True,
        )
        found = np.fromfile(Path(self._folder, "image.cfl"), np.complex64)
        return torch.from_numpy(_mirrored(found.reshape(self.task.kspace.shape, order="F")))


class MirtorchFBPD(_Package):
    """mirtorch's forward-backward primal-dual method; its default `τ` and others."""

    name, package = "mirtorch FBPD", "mirtorch"
    resumable = False
    grid: ClassVar[Sequence[dict[str, float]]] = [
        {"τ": value} for value in (2.0 / 3.0, 1.0, 1.5, 1.9, 1.98, 1.995)
    ]

    def _begin(self) -> None:
        algorithm = importlib.import_module("mirtorch.alg.fbpd").FBPD
        linear, proximal = (
            importlib.import_module("mirtorch.linear"),
            importlib.import_module("mirtorch.prox"),
        )
        kspace, shape = self.task.kspace, list(self.task.kspace.shape)
        mask = self.task.operator.mask
        transform = linear.FFTCn(shape, shape, (0, 1))

        def slope(image: Tensor) -> Tensor:
            return transform.H * (mask * (transform * image) - kspace)

        self._method = algorithm(
            slope,
            proximal.Const(),
            proximal.L1Regularizer(self.task.weight),
            1.0,
            G=linear.Diffnd(shape, [0, 1]),
            G_norm_squared=8.0,
            tau=self.settings["τ"],
        )

    def _advance(self, steps: int) -> None:
        pass

    def image(self) -> Tensor:
        self._method.max_iter = self.taken
        return self._method.run(torch.zeros_like(self.task.kspace))


class DeepinvPDCP(_Package):
    """deepinv's primal-dual method with the proximal map of its single-coil MRI, `τ = 1/(8σ)`."""

    name, package = "deepinv PDCP", "deepinv"
    resumable = False
    grid: ClassVar[Sequence[dict[str, float]]] = [
        {"σ": value} for value in (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.16)
    ]

    def _begin(self) -> None:
        optim, physics = importlib.import_module("deepinv.optim"), importlib.import_module("deepinv.physics")
        mask = self.task.operator.mask.to(torch.float32)
        self._physics = physics.MRI(mask=mask, img_size=(2, *mask.shape))
        self._data = torch.view_as_real(self.task.kspace).movedim(-1, 0)[None].contiguous()
        self._parts = optim, optim.L2(), optim.L1Prior()

    def _advance(self, steps: int) -> None:
        pass

    def image(self) -> Tensor:
        optim, fidelity, prior = self._parts
        sigma = self.settings["σ"]
        zero = torch.zeros_like(self._data)
        method = optim.PDCP(
            K=gradient,
            K_adjoint=divergence,
            data_fidelity=fidelity,
            prior=prior,
            lambda_reg=self.task.weight,
            stepsize=1.0 / (8.0 * sigma),
            stepsize_dual=sigma,
            max_iter=self.taken,
            g_first=True,
            custom_init=lambda data, physics: {"est": (zero, zero, gradient(zero))},
        )
        image = method(self._data, self._physics)[0]
        return torch.complex(image[0], image[1])


def _mirrored(array: np.ndarray) -> np.ndarray:
    """Index `−k` in place of `k`, about the centre of an even size."""
    return np.roll(array[::-1, ::-1], (1, 1), (0, 1))


# By the coupling that they minimise. SigPy has the modulus of each difference alone.
PEERS: dict[str, list[type[Any]]] = {
    "split": [ReferenceADMM, DeepinvPDCP],
    "complex": [SigpyPrimalDual, SigpyADMM, MirtorchFBPD],
    "isotropic": [Bart],
}
