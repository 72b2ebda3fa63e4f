import pytest
import torch

from mrilib.attacks.localized import localized_attack
from mrilib.attacks.pgd import global_attack
from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.sparse import TotalVariation

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("coupling", ["split", "complex", "isotropic"])
def test_the_gpu_finds_what_the_cpu_finds(coupling):
    operator = MaskedFourier(mask=radial_mask(64, 16))
    kspace = operator.forward(ellipse_phantoms(1, size=64, seed=1)[0])
    radius = 0.05 * float(kspace.norm())
    method = TotalVariation(weight=5e-3, coupling=coupling)
    found = [
        (
            localized_attack(method, kspace.to(device), operator.to(device), radius=radius, grid=4, seed=0),
            global_attack(method, kspace.to(device), operator.to(device), radius=radius, steps=40, seed=0),
        )
        for device in ("cpu", "cuda")
    ]
    for cpu, gpu in zip(*found, strict=True):
        assert gpu.perturbation.device.type == "cuda"
        # Both climb the same function from the same start in float32; rounding parts their paths.
        torch.testing.assert_close(gpu.severity.cpu(), cpu.severity, rtol=1e-2, atol=0)
