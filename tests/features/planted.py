"""Images under methods, as studies of features see them."""

import torch

from mrilib.data.measurement import Measurement, measure_image
from mrilib.features.kinds.base import Scene
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.coil_images import center_crop
from mrilib.reconstructors.base import Reconstructor, observed

FULL = (32, 28)


def columns(shape=FULL):
    """Every third column, and the middle."""
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[:, ::3] = True
    mask[:, shape[1] // 2 - 2 : shape[1] // 2 + 3] = True
    return mask


def object_image(shape=FULL, ground=1.0):
    """A real image far above 0."""
    generator = torch.Generator().manual_seed(3)
    return ground + 0.1 * torch.rand(shape, generator=generator, dtype=torch.float64)


def scene_of(image, mask, method, *, boxes=(), seed=("image", 0)):
    """A scene that keeps the names of its reconstructions in `names`."""
    return of_measurement(measure_image(image, mask), method, boxes=boxes, seed=seed)


def of_measurement(measurement, method, *, boxes, seed):
    """A scene of data that are measured already."""
    operator, names = measurement.operator, []

    def solve(kspace, name, *, method=None):
        names.append(name)
        return (method or own).solve(kspace, operator)

    own = method
    clean = observed(method, method.solve(measurement.kspace, operator).value, operator)
    scene = Scene(measurement, method, clean, solve, seed, boxes)
    return scene, names


class Kept(Reconstructor):
    """The image, of which every pixel keeps a share: `rec(y) = w ⊙ Fᴴy`."""

    def __init__(self, share):
        self.share = share

    def __call__(self, kspace, operator):
        return self.share * ifft2c(kspace)


class SoftThreshold(Reconstructor):
    """What every pixel has above a threshold: `rec(y) = sgn(z)·max(|z| − t, 0)`, `z = Fᴴy`."""

    def __init__(self, threshold):
        self.threshold = threshold

    def __call__(self, kspace, operator):
        image = ifft2c(kspace)
        return torch.sgn(image) * (image.abs() - self.threshold).clamp(min=0.0)


class Opaque(Kept):
    """The same without derivative."""

    search = None

    def __call__(self, kspace, operator):
        if torch.is_grad_enabled() and kspace.requires_grad:
            raise NotImplementedError("no derivative")
        return super().__call__(kspace, operator)


def coil_scene(method, *, crop=(24, 20), count=3, seed=("image", 0), boxes=(), dtype=torch.complex128):
    """The same with several coils, an object with a phase, and a reference that is cropped."""
    generator = torch.Generator().manual_seed(4)
    maps = torch.randn(count, *FULL, generator=generator, dtype=torch.complex128)
    maps = maps / torch.linalg.vector_norm(maps, dim=0)
    phase = torch.exp(0.3j * torch.randn(FULL, generator=generator, dtype=torch.float64))
    images = object_image() * phase * maps
    mask = columns()
    combined = (maps.conj() * images).sum(0)
    measurement = Measurement(
        kspace=CoilFourier(mask=mask, coil_maps=maps).forward(object_image() * phase).to(dtype),
        mask=mask,
        coil_maps=maps.to(dtype),
        reference=center_crop(torch.linalg.vector_norm(images, dim=0), crop).to(dtype.to_real()),
        scale=1.0,
        maximum=1.1,
        combined=combined.to(dtype),
        coil_sum=images.sum(0).to(dtype),
    )
    return of_measurement(measurement, method, seed=seed, boxes=boxes)


class RootSumOfSquares(Reconstructor):
    """Moduli of all coils' zero-filled images together, as networks return them."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return torch.linalg.vector_norm(ifft2c(kspace), dim=-3)
