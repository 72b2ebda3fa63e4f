"""Coils without data: every network gives what it gives without them, with finite derivatives."""

import pytest
import torch
from fastmri import models

from mrilib.data.masks import column_mask
from mrilib.networks.decoders import ConvDecoder, DeepDecoder
from mrilib.networks.itnet import ItNet
from mrilib.networks.magnitude_unet import MagnitudeUnet
from mrilib.networks.tiramisu import LearnedInverse, Tiramisu
from mrilib.networks.unet import UNet
from mrilib.networks.varnet import VarNet
from mrilib.operators.base import fft2c
from mrilib.operators.coils import CoilFourier, estimate_coil_maps
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.trained import Trained
from mrilib.reconstructors.untrained import Untrained

TINY = {"num_cascades": 2, "chans": 2, "pools": 2, "sens_chans": 2, "sens_pools": 2}
ON_COILS = {
    "varnet": lambda: VarNet(**TINY),
    "varnet of a fraction": lambda: VarNet(**TINY, center_fraction=0.3),
    "varnet without a U-net for maps": lambda: VarNet(**TINY | {"sens_chans": None}),
    "varnet from zero output": lambda: VarNet(**TINY, zero_output=True),
    "magnitude U-net": lambda: MagnitudeUnet(chans=2, num_pool_layers=2),
    "magnitude U-net of a crop": lambda: MagnitudeUnet(chans=2, num_pool_layers=2, crop=(24, 20), limit=6.0),
}
ON_IMAGES = {
    "tiramisu": lambda: Tiramisu(first=4, growth=4, down=(2, 2), bottleneck=2, up=(2, 2)),
    "U-net": lambda: UNet(base=4, levels=2),
}
ON_ONE_COIL = ON_IMAGES | {"itnet": lambda: ItNet(steps=2, base=4, levels=2)}
DEAD = 2


@pytest.fixture(scope="module")
def kspace():
    """Four coils of a smooth image with noise; coil `DEAD` has none of it."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 40), indexing="ij")
    corners = [(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5)]
    coils = torch.stack(
        [(1.2 + a + 0.3 * b) * torch.exp(-((y - a) ** 2) - (x - b) ** 2 + 1j * a * x) for a, b in corners]
    )
    noise = torch.randn(coils.shape, generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    found = fft2c((y**2 + x**2 < 0.6) * coils.to(torch.complex64) + 0.02 * noise)
    found[DEAD] = 0
    return found


@pytest.fixture(scope="module")
def mask():
    return column_mask(40, acceleration=2, center_fraction=0.3, kind="random", seed=3)


def moved(make):
    """A network with other parameters than at the start, none of them 0; the same ones every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = make()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


def without(coils):
    return torch.cat([coils[..., :DEAD, :, :], coils[..., DEAD + 1 :, :, :]], dim=-3)


def all_finite(network, given, image):
    """Whether an image has a finite derivative in k-space and in every parameter, and its own values are."""
    image.abs().square().sum().backward()
    gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
    found = [image.detach(), given.grad, *gradients]
    return bool(gradients) and all(bool(torch.isfinite(each.abs()).all()) for each in found)


@pytest.mark.parametrize("mode", ["training", "evaluation"])
@pytest.mark.parametrize("make", ON_COILS.values(), ids=ON_COILS)
def test_a_dead_coil_is_as_if_left_out(make, mode, kspace, mask):
    network = moved(make).train(mode == "training")
    given = kspace[None].clone().requires_grad_(True)
    image = network(given, mask[None, None])
    torch.testing.assert_close(image, network(without(kspace)[None], mask[None, None]))
    assert all_finite(network, given, image)


@pytest.mark.parametrize("make", ON_COILS.values(), ids=ON_COILS)
def test_a_dead_coil_of_one_item_leaves_the_other_as_it_is(make, kspace, mask):
    network = moved(make).eval()
    whole = kspace.clone()
    whole[DEAD] = kspace[0].flip(-1)
    batch = torch.stack([kspace, whole])
    torch.testing.assert_close(network(batch, mask[None, None])[1:], network(whole[None], mask[None, None]))


@pytest.mark.parametrize("make", ON_COILS.values(), ids=ON_COILS)
@pytest.mark.parametrize("kind", ["the centre alone", "all but the centre", "one entry", "nothing"])
def test_slices_that_are_nearly_empty_are_borne(make, kind, kspace, mask):
    network = moved(make)
    centre = torch.zeros(32, 40, dtype=torch.bool)
    centre[12:20, 15:25] = True
    outside = torch.zeros_like(centre)
    outside[:, :5] = outside[:, -5:] = True
    entry = torch.zeros_like(centre)
    entry[16, 20] = True
    kept = {"the centre alone": centre, "all but the centre": outside, "one entry": entry}
    given = (kspace * kept.get(kind, torch.zeros_like(centre)))[None].requires_grad_(True)
    assert all_finite(network, given, network(given, mask[None, None]))


@pytest.mark.parametrize("zeros", [False, True])
def test_coils_that_are_not_zero_are_fastmris_to_the_last_bit(zeros, kspace, mask):
    network = moved(lambda: VarNet(**TINY)).eval()
    theirs = models.VarNet(**TINY).eval()
    theirs.load_state_dict(network.varnet.state_dict())
    given = (kspace if zeros else without(kspace))[None]
    masks, count = mask[None, None, None, :, None], int(network.center_columns(mask[None, None]))
    with torch.no_grad():
        expected = theirs(torch.view_as_real(given * mask), masks, count)
        found = network(given, mask[None, None])
    assert torch.equal(found, expected) is not zeros
    # What is mended.
    assert bool(expected.isnan().any()) is zeros


@pytest.mark.parametrize("make", ON_IMAGES.values(), ids=ON_IMAGES)
def test_image_networks_see_no_dead_coil(make, kspace, mask):
    found = []
    for coils in (kspace, without(kspace)):
        maps = estimate_coil_maps(coils * mask)
        operator, method = CoilFourier(mask=mask, coil_maps=maps), Trained(network=moved(make))
        method.model.train().requires_grad_(True)
        given = (coils * mask).requires_grad_(True)
        found.append(method.model(given[None], operator))
        assert all_finite(method.model, given, found[-1])
    # Maps are found anew, by another decomposition.
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-4)
    assert not maps.isnan().any()


@pytest.mark.parametrize(
    ("name", "inverse"),
    [*[(name, None) for name in ON_ONE_COIL], *[(name, LearnedInverse(size=32)) for name in ON_IMAGES]],
)
def test_an_image_of_zeros_in_a_batch_is_borne(name, inverse, draw):
    make = ON_ONE_COIL[name]
    method = Trained(network=moved(make), inverse=inverse)
    operator = MaskedFourier(mask=torch.ones(32, 32, dtype=torch.bool))
    given = torch.stack([draw(32, 32), torch.zeros(32, 32)]).to(torch.complex64).requires_grad_(True)
    for mode in (True, False):
        method.model.train(mode).requires_grad_(True)
        given.grad = None
        assert all_finite(method.model, given, method.model(given, operator))


@pytest.mark.parametrize("kind", [ConvDecoder, DeepDecoder])
def test_decoders_fit_a_dead_coil(kind, kspace, mask):
    network = {"class": f"{kind.__module__}:{kind.__name__}"}
    network["arguments"] = {"channels": 8, "layers": 3, "in_size": [4, 4]}
    method = Untrained(network=network, steps=3)
    operator = CoilFourier(mask=mask, coil_maps=torch.ones_like(kspace))
    solution = method.solve(kspace * mask, operator)
    assert solution.value.isfinite().all()
    assert solution.stats["loss_curve"].isfinite().all()
