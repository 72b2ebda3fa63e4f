"""Scenes for tests: an image under a method, as studies of features see it."""

import torch

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.data.measurement import measure_image
from mrilib.features.kinds.base import Scene
from mrilib.operators.base import ifft2c
from mrilib.reconstructors.base import Reconstructor, observed


class Kept(Reconstructor):
    """The image, of which every pixel keeps a share `w`: `rec(y) = w ⊙ Fᴴy`, of fully sampled data."""

    def __init__(self, kept):
        self.kept = kept

    def __call__(self, kspace, operator):
        return self.kept * ifft2c(kspace)


def phantom(size=64, lines=None):
    """A phantom with something at every pixel, fully sampled unless `lines` says otherwise."""
    image = 0.5 + 0.5 * ellipse_phantoms(1, size=size, seed=1)[0]
    mask = torch.ones(size, size, dtype=torch.bool) if lines is None else radial_mask(size, lines)
    return measure_image(image, mask)


def scene_of(method, measurement, *, seed=(1, "set", 0), boxes=()):
    """The scene, and the names of what was reconstructed."""
    names = []

    def solve(kspace, name, *, method=None):
        names.append(name)
        return (method or used).solve(kspace, measurement.operator)

    used = method
    clean = observed(
        method, method.solve(measurement.kspace, measurement.operator).value, measurement.operator
    )
    return Scene(measurement, method, clean, solve, list(seed), boxes), names
