"""The ten networks: parameters, equality with fastMRI's modules called by hand, derivatives in k-space."""

from functools import partial

import pytest
import torch
from fastmri import models
from fastmri.data import transforms
from fastmri.data.subsample import RandomMaskFunc

from mrilib.data.masks import column_mask, name_seed, radial_mask
from mrilib.networks import varnet
from mrilib.networks.magnitude_unet import MagnitudeUnet
from mrilib.networks.varnet import VarNet
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_images import center_crop, rss
from mrilib.solvers.gradient_memory import saved_bytes

TINY_VARNET = {"num_cascades": 2, "chans": 2, "pools": 2, "sens_chans": 2, "sens_pools": 2}


@pytest.fixture
def kspace(draw):
    """Two items of three coils: smooth images with noise."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 36), indexing="ij")
    coils = torch.stack([torch.exp(-((y - a) ** 2) - (x + a) ** 2 + 1j * a * x) for a in (-0.5, 0.0, 0.5)])
    images = torch.stack([(y**2 + x**2 < 0.6) * coils, (abs(y) < 0.5) * coils.flip(0)])
    return fft2c(images + 0.02 * draw(2, 3, 32, 36)).to(torch.complex64)


@pytest.fixture
def mask():
    return column_mask(36, acceleration=3, center_fraction=0.12, kind="random", seed=3)[None, None]


def seeded(make, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make(**arguments).eval()


def moved(network):
    """The network with other parameters than at the start, none of them 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


@pytest.mark.parametrize(
    ("chans", "num_pool_layers", "count"),
    [(32, 4, 7_756_097), (16, 4, 1_939_105), (16, 2, 116_385), (8, 4, 484_817), (8, 2, 29_137)],
)
def test_parameters_of_the_unets_are_those_of_table_2(chans, num_pool_layers, count):
    network = MagnitudeUnet(chans=chans, num_pool_layers=num_pool_layers)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("chans", "sens_chans", "num_cascades", "count"),
    [
        (18, 8, 12, 29_936_966),
        (9, 4, 12, 7_485_390),
        (9, 4, 6, 3_803_328),
        (4, 2, 12, 1_485_542),
        (4, 2, 6, 757_940),
    ],
)
def test_parameters_of_the_varnets_are_those_of_table_1(chans, sens_chans, num_cascades, count):
    network = VarNet(chans=chans, sens_chans=sens_chans, num_cascades=num_cascades)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


def test_defaults_are_the_reference_sizes():
    assert sum(parameter.numel() for parameter in MagnitudeUnet().parameters()) == 7_756_097
    assert sum(parameter.numel() for parameter in VarNet().parameters()) == 29_936_966


def test_the_unet_is_fastmris_with_its_transform(kspace):
    attributes = {"max": 1.0, "recon_size": (24, 20, 1)}
    transform = transforms.UnetDataTransform("multicoil", mask_func=RandomMaskFunc([0.12], [3]))
    network = seeded(MagnitudeUnet, chans=4, num_pool_layers=2, crop=(24, 20), limit=6.0)
    raw = kspace[0].numpy()
    target = rss(ifft2c(kspace[0]))
    sample = transform(raw, None, center_crop(target, (24, 20)).numpy(), attributes, "file.h5", 0)
    with torch.no_grad():
        expected = network.unet(sample.image[None, None])[0, 0] * sample.std + sample.mean
    mask = column_mask(36, acceleration=3, center_fraction=0.12, kind="random", seed=name_seed("file.h5"))
    found = network(kspace[:1], mask[None, None])[0]
    torch.testing.assert_close(center_crop(found, (24, 20)), expected, rtol=1e-4, atol=1e-5)
    zero_filled = rss(ifft2c(kspace[0] * mask))
    center_crop(found, (24, 20)).copy_(center_crop(zero_filled, (24, 20)))
    torch.testing.assert_close(found, zero_filled)


def test_the_unet_sees_the_whole_grid_unless_it_is_told_to_crop(kspace, mask):
    network = seeded(MagnitudeUnet, chans=4, num_pool_layers=2)
    image = rss(ifft2c(kspace * mask))
    normalised = torch.stack([(one - one.mean()) / (one.std() + 1e-11) for one in image])
    moved = torch.stack(
        [
            output * one.std() + one.mean()
            for output, one in zip(network.unet(normalised[:, None])[:, 0], image, strict=True)
        ]
    )
    torch.testing.assert_close(network(kspace, mask), moved)
    wide = seeded(MagnitudeUnet, chans=4, num_pool_layers=2, crop=[320, 320])
    assert torch.equal(wide(kspace, mask), network(kspace, mask))


def test_the_clamp_is_of_the_normalised_input(kspace, mask):
    network = seeded(MagnitudeUnet, chans=4, num_pool_layers=2, limit=0.5)
    seen = []
    network.unet.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(kspace, mask)
    assert float(seen[0].max()) == 0.5
    assert float(seen[0].min()) == -0.5


def differentiated(network, kspace, mask, weights):
    """Images, and derivatives of a sum of their pixels in k-space and in all parameters."""
    point = kspace.clone().requires_grad_(True)
    images = network(point, mask)
    inputs = [point, *(each for each in network.parameters() if each.requires_grad)]
    return images, *torch.autograd.grad((weights * images).sum(), inputs)


@pytest.mark.parametrize("maps", [2, None])
@pytest.mark.parametrize("learns", [False, True])
def test_cascades_that_are_computed_again_give_the_same_to_the_last_bit(kspace, mask, draw, learns, maps):
    sizes = TINY_VARNET | {"sens_chans": maps}
    networks = [
        moved(seeded(VarNet, **sizes, checkpointing=again)).train(learns).requires_grad_(learns)
        for again in (False, True)
    ]
    weights = draw(1, 32, 36).real.float()
    kept, again = (differentiated(network, kspace[:1], mask, weights) for network in networks)
    assert len(kept) == len(again) == 2 + learns * len(list(networks[0].parameters()))
    for first, second in zip(kept, again, strict=True):
        assert torch.equal(first, second)
    point = kspace[:1].clone().requires_grad_()
    plain, little = (saved_bytes(partial(network, point, mask)) for network in networks)
    assert little < 0.25 * plain


def test_items_of_a_batch_that_are_computed_again_are_those_that_are_kept(kspace, mask, draw):
    networks = [
        moved(seeded(VarNet, **TINY_VARNET, checkpointing=again)).double().requires_grad_(False)
        for again in (False, True)
    ]
    weights, data = draw(2, 32, 36).real, kspace.to(torch.complex128)
    kept, again = (differentiated(network, data, mask, weights) for network in networks)
    for first, second in zip(kept, again, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-12)


def test_cascades_are_computed_again_where_a_batch_has_no_room(kspace, mask, monkeypatch):
    network = seeded(VarNet, **TINY_VARNET).requires_grad_(False)
    point = kspace.clone().requires_grad_(True)
    each = saved_bytes(lambda: network._image(*_given(kspace[:1].requires_grad_(), mask), 4))
    calls = []
    network.varnet.cascades[0].register_forward_pre_hook(lambda *_: calls.append(1))
    for room, items, expected in ((2 * each, 2, 1), (1.9 * each, 2, 4), (1.9 * each, 1, 1), (1, 1, 2)):
        monkeypatch.setattr(varnet, "gradient_room", lambda device, room=room: room)
        network(point[:items], mask).sum().backward()
        if room == 2 * each:
            calls.pop()  # what was kept is counted once
        assert len(calls) == expected
        calls.clear()
        with torch.no_grad():
            network(point[:items], mask)
        assert len(calls) == 1
        calls.clear()


def _given(kspace, mask):
    return torch.view_as_real(kspace * mask), mask[:, None, :, :, None]


@pytest.mark.parametrize("network", [VarNet, MagnitudeUnet])
def test_no_layer_remembers_or_draws(network):
    # so that what is computed again is what it was
    for layer in network().modules():
        assert not getattr(layer, "track_running_stats", False)
        assert getattr(layer, "p", 0.0) == 0.0


@pytest.mark.parametrize("fraction", [0.12, None])
def test_the_varnet_is_fastmris_with_its_transform(kspace, fraction):
    network = seeded(VarNet, **TINY_VARNET, center_fraction=fraction)
    attributes = {"max": 1.0, "recon_size": (24, 20, 1), "padding_left": 0, "padding_right": 36}
    transform = transforms.VarNetDataTransform(mask_func=RandomMaskFunc([0.12], [3]))
    target = center_crop(rss(ifft2c(kspace[0])), (24, 20)).numpy()
    sample = transform(kspace[0].numpy(), None, target, attributes, "file.h5", 0)
    with torch.no_grad():
        count = sample.num_low_frequencies if fraction else None
        expected = network.varnet(sample.masked_kspace[None], sample.mask[None], count)
    mask = column_mask(36, acceleration=3, center_fraction=0.12, kind="random", seed=name_seed("file.h5"))
    found = network(kspace[:1], mask[None, None])
    torch.testing.assert_close(found, expected)
    # A mask of the whole grid says the same as one of columns.
    torch.testing.assert_close(network(kspace[:1], mask.expand(1, 32, 36)), expected)


@pytest.mark.parametrize("width", [36, 37])
def test_the_centre_is_found_as_fastmri_finds_it(width):
    network = seeded(VarNet, **TINY_VARNET)
    masks = torch.stack(
        [
            column_mask(width, acceleration=2, center_fraction=0.12, kind="random", seed=seed)
            for seed in range(40)
        ]
    )
    layout = masks[:, None, None, :, None]
    _, expected = network.varnet.sens_net.get_pad_and_num_low_freqs(layout)
    found = network.center_columns(masks[:, None])
    assert found.tolist() == expected.tolist()
    assert len(set(found.tolist())) > 2
    assert network.center_columns(torch.ones(1, 1, width, dtype=torch.bool)).tolist() == [width]


def test_rows_that_a_scanner_left_out_hide_no_centre(kspace, mask):
    network = seeded(VarNet, **TINY_VARNET)
    part = mask & (torch.arange(32)[:, None] >= 5)
    width = network.center_columns(mask)
    assert torch.equal(network.center_columns(part), width)
    sampled = torch.view_as_real(kspace * part)
    expected = network.varnet(sampled, part.expand(2, -1, -1)[:, None, :, :, None], int(width))
    torch.testing.assert_close(network(kspace, part), expected)
    hole = part.clone()
    hole[0, 20, 18] = False
    with pytest.raises(ValueError, match="expected whole sampled columns in the centre"):
        network(kspace, hole)


@pytest.mark.parametrize(
    "network",
    [
        seeded(VarNet, **TINY_VARNET),
        seeded(VarNet, **TINY_VARNET, center_fraction=0.1),
        seeded(VarNet, **TINY_VARNET | {"sens_chans": None}),
        moved(seeded(VarNet, **TINY_VARNET, zero_output=True)),
        seeded(MagnitudeUnet, chans=2, num_pool_layers=2),
    ],
)
def test_items_of_a_batch_with_masks_of_their_own_are_as_alone(network, kspace):
    masks = torch.stack(
        [column_mask(36, acceleration=2, center_fraction=0.12, kind="random", seed=seed) for seed in (0, 8)]
    )[:, None]
    assert len(set(seeded(VarNet, **TINY_VARNET).center_columns(masks).tolist())) == 2
    together = network(kspace, masks)
    for index in range(2):
        alone = network(kspace[index : index + 1], masks[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone)


@pytest.mark.parametrize(
    "network",
    [
        seeded(VarNet, **TINY_VARNET),
        seeded(VarNet, **TINY_VARNET | {"sens_chans": None}),
        moved(seeded(VarNet, **TINY_VARNET, zero_output=True)),
        seeded(MagnitudeUnet, chans=2, num_pool_layers=2, limit=6.0),
    ],
)
def test_scaled_data_give_the_scaled_image_and_unsampled_entries_nothing(network, kspace, mask):
    image = network(kspace, mask)
    torch.testing.assert_close(network(1000.0 * kspace, mask) / 1000.0, image, rtol=1e-4, atol=1e-5)
    assert torch.equal(network(kspace * mask, mask), image)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (VarNet, TINY_VARNET),
        (VarNet, TINY_VARNET | {"sens_chans": None}),
        (VarNet, TINY_VARNET | {"zero_output": True}),
        (MagnitudeUnet, {"chans": 2, "num_pool_layers": 2}),
        (MagnitudeUnet, {"chans": 2, "num_pool_layers": 2, "crop": (20, 24), "limit": 6.0}),
    ],
)
def test_derivatives_in_kspace_are_those_of_differences(make, arguments, kspace, mask, draw):
    # The steps below are small enough to cross no kink of the ReLUs.
    network = moved(seeded(make, **arguments)).double()
    point, weights = kspace.to(torch.complex128), draw(2, 32, 36).real
    direction = draw(2, 3, 32, 36, seed=1)
    moving = point.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad((weights * network(moving, mask)).sum(), moving)
    with torch.no_grad():
        ahead, behind = ((weights * network(point + sign * 1e-7 * direction, mask)).sum() for sign in (1, -1))
    slope = float((gradient.conj() * direction).real.sum())
    assert slope == pytest.approx(float((ahead - behind) / 2e-7), rel=1e-5)
    assert float(gradient[..., ~mask[0, 0]].abs().max()) == 0.0


def test_the_varnet_is_the_formula_of_its_docstring(kspace, mask):
    network = seeded(VarNet, **TINY_VARNET)
    inner, data = network.varnet, torch.view_as_real(kspace * mask)
    layout = mask[:, None, :, :, None]
    maps = torch.view_as_complex(inner.sens_net(data, layout.expand(2, 1, 1, 36, 1)))
    torch.testing.assert_close(rss(maps), torch.ones(2, 32, 36))
    step, measured = kspace * mask, kspace * mask
    for cascade in inner.cascades:
        combined = (maps.conj() * ifft2c(step)).sum(dim=1, keepdim=True)
        refined = torch.view_as_complex(cascade.model(torch.view_as_real(combined)))
        step = step - cascade.dc_weight * mask * (step - measured) - fft2c(maps * refined)
    torch.testing.assert_close(network(kspace, mask), rss(ifft2c(step)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("fraction", [0.12, None])
def test_maps_without_a_unet_are_the_centres_images_divided_by_their_rss(kspace, mask, fraction):
    network = seeded(VarNet, **TINY_VARNET | {"sens_chans": None}, center_fraction=fraction).double()
    assert not list(network.varnet.sens_net.parameters())
    kspace = kspace.to(torch.complex128)
    count = int(network.center_columns(mask))
    assert fraction is None or count == 4
    first = (36 - count + 1) // 2
    center = torch.zeros_like(kspace)
    center[..., first : first + count] = kspace[..., first : first + count]
    images = ifft2c(center)
    maps = images / images.abs().square().sum(dim=1, keepdim=True).sqrt()
    step, measured = kspace * mask, kspace * mask
    for cascade in network.varnet.cascades:
        combined = (maps.conj() * ifft2c(step)).sum(dim=1, keepdim=True)
        refined = torch.view_as_complex(cascade.model(torch.view_as_real(combined)))
        step = step - cascade.dc_weight * mask * (step - measured) - fft2c(maps * refined)
    torch.testing.assert_close(network(kspace, mask), rss(ifft2c(step)))


def test_maps_without_a_unet_are_zero_where_all_coils_are():
    network = seeded(VarNet, **TINY_VARNET | {"sens_chans": None}, center_fraction=0.12)
    nothing = torch.zeros(1, 2, 32, 36, 2, requires_grad=True)
    maps = network.varnet.sens_net(nothing, torch.ones(1, 1, 1, 36, 1, dtype=torch.bool), 4)
    maps.sum().backward()
    assert not maps.any()
    assert nothing.grad.isfinite().all()


def test_a_varnet_with_zero_output_starts_at_the_zero_filled_image(kspace, mask):
    network = seeded(VarNet, **TINY_VARNET, zero_output=True)
    torch.testing.assert_close(network(kspace, mask), rss(ifft2c(kspace * mask)))
    # So it does with maps that are none of the coils', and not without the option.
    usual = seeded(VarNet, **TINY_VARNET)
    assert not torch.allclose(usual(kspace, mask), network(kspace, mask), atol=0.1)
    assert {name: value.shape for name, value in network.state_dict().items()} == {
        name: value.shape for name, value in usual.state_dict().items()
    }


def test_the_refinement_with_zero_output_adds_no_mean(kspace):
    network = seeded(VarNet, **TINY_VARNET, zero_output=True)
    refinement = network.varnet.cascades[0].model
    image = ifft2c(kspace)[:, :1]
    with torch.no_grad():
        refinement.unet.up_conv[-1][-1].bias.copy_(torch.tensor([0.5, -2.0]))
        found = torch.view_as_complex(refinement(torch.view_as_real(image)))
    flat = image.flatten(1)
    expected = torch.complex(0.5 * flat.real.std(dim=1), -2.0 * flat.imag.std(dim=1))
    torch.testing.assert_close(found, expected[:, None, None, None].expand_as(found))


def test_the_wrapped_modules_are_fastmris():
    for network, kind in ((MagnitudeUnet(chans=2), models.Unet), (VarNet(**TINY_VARNET), models.VarNet)):
        assert type(network.get_submodule(network.published)) is kind


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (MagnitudeUnet, {"chans": 0}, "expected numbers of at least 1, got chans=0, num_pool_layers=4"),
        (MagnitudeUnet, {"crop": [320]}, "expected crop as rows and columns"),
        (MagnitudeUnet, {"limit": 0.0}, "limit > 0"),
        (VarNet, {"num_cascades": 0}, "num_cascades=0"),
        (VarNet, {"center_fraction": 0.0}, "expected 0 < center_fraction <= 1"),
    ],
)
def test_arguments_out_of_range_are_refused(make, arguments, message):
    with pytest.raises(ValueError, match=message):
        make(**arguments)


@pytest.mark.parametrize("make", [MagnitudeUnet, VarNet])
def test_images_too_small_for_the_poolings_are_refused(make, draw):
    small, mask = draw(1, 2, 16, 16).to(torch.complex64), torch.ones(1, 1, 16, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"16×16 has 1×1 pixels after 4 poolings"):
        make(chans=2)(small, mask)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("make", [MagnitudeUnet, VarNet])
def test_masks_that_are_no_masks_are_refused(make, kspace, mask):
    network = make(chans=2)
    for wrong in (mask.float(), mask[0]):
        with pytest.raises(ValueError, match=r"expected kspace \(batch, coil, ky, kx\) and a boolean mask"):
            network(kspace, wrong)


def test_a_centre_that_is_not_sampled_is_refused_with_the_key_that_mends_it(kspace):
    mask = torch.ones(1, 1, 36, dtype=torch.bool)
    mask[..., 18] = False
    mends = {
        None: r"1 of 36, got one that is not; raise the mask's center_fraction",
        0.12: r"4 of 36, .*; give the network the mask's center_fraction instead of 0\.12, or raise",
    }
    for fraction, mend in mends.items():
        with pytest.raises(ValueError, match=mend):
            VarNet(**TINY_VARNET, center_fraction=fraction)(kspace, mask)


@pytest.mark.parametrize("lines", [8, 20, 40])
@pytest.mark.parametrize("fraction", [None, 0.12])
def test_radial_masks_are_refused_by_name(lines, fraction):
    network = VarNet(**TINY_VARNET, center_fraction=fraction)
    with pytest.raises(ValueError, match="such as a radial one, has no such centre: take one of columns"):
        network.center_columns(radial_mask(36, lines)[None])


@pytest.mark.parametrize("empty", [slice(0, 9), slice(20, 32), (0, 1, 30, 31)])
@pytest.mark.parametrize("fraction", [None, 0.12])
@pytest.mark.parametrize("maps", [2, None])
def test_rows_that_were_never_acquired_leave_the_centre_as_it_is(empty, fraction, maps, kspace, mask):
    network = seeded(VarNet, **TINY_VARNET | {"sens_chans": maps}, center_fraction=fraction)
    rows = torch.ones(1, 32, 1, dtype=torch.bool)
    rows[:, empty] = False
    partial = rows & mask
    assert network.center_columns(partial).tolist() == network.center_columns(mask).tolist()
    expected = network(kspace * rows, mask)
    # Rows that are zero and said to be sampled are kept at zero, and rows that are not may be filled.
    found = network(kspace, partial)
    assert found.isfinite().all()
    assert not torch.equal(found, expected)
    whole = rows & torch.ones_like(mask)
    assert fraction is not None or network.center_columns(whole).tolist() == [36]
    # Each item of a batch may lack other rows.
    masks = torch.cat([partial, mask.expand_as(partial)])
    together = network(kspace, masks)
    torch.testing.assert_close(together[:1], network(kspace[:1], partial))
    torch.testing.assert_close(together[1:], network(kspace[1:], mask))


def test_a_centre_is_whole_in_every_row_that_has_a_sample():
    mask = torch.zeros(1, 32, 36, dtype=torch.bool)
    mask[:, 8:, 14:22] = True
    assert VarNet(**TINY_VARNET).center_columns(mask).tolist() == [8]
    mask[:, 10, 15] = False
    assert VarNet(**TINY_VARNET).center_columns(mask).tolist() == [4]
    mask[:, 10, 18] = False
    with pytest.raises(ValueError, match="a mask whose rows differ"):
        VarNet(**TINY_VARNET).center_columns(mask)


def test_a_mask_without_a_sample_has_no_centre():
    with pytest.raises(ValueError, match="got one that is not; raise the mask's center_fraction"):
        VarNet(**TINY_VARNET).center_columns(torch.zeros(1, 32, 36, dtype=torch.bool))
