import pytest
import torch
from fastmri import models
from torch import nn

from mrilib.data.masks import column_mask, radial_mask
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.multicoil import TrainedMultiCoil, read_published
from mrilib.store.checkpoints import Checkpoint, write_checkpoint

# Reduced sizes; those of the papers are in tests/networks.
UNET = {
    "class": "mrilib.networks.magnitude_unet:MagnitudeUnet",
    "arguments": {"chans": 2, "num_pool_layers": 2},
}
SIZES = {"num_cascades": 2, "chans": 2, "pools": 2, "sens_chans": 2, "sens_pools": 2}
VARNET = {"class": "mrilib.networks.varnet:VarNet", "arguments": SIZES}


@pytest.fixture
def operator(draw):
    maps = draw(3, 32, 36).to(torch.complex64)
    mask = column_mask(36, acceleration=3, center_fraction=0.12, kind="random", seed=3)
    return CoilFourier(mask=mask, coil_maps=maps / maps.abs().square().sum(0).sqrt())


@pytest.fixture
def kspace(operator, draw):
    return operator.forward(draw(2, 2, 32, 36).to(torch.complex64))


@pytest.mark.parametrize("network", [UNET, VARNET])
def test_networks_named_in_a_config_return_magnitudes_and_can_be_differentiated(
    operator, kspace, network, draw
):
    method = TrainedMultiCoil(network=network)
    image = method(kspace, operator)
    assert (image.shape, image.dtype, method.output) == ((2, 2, 32, 36), torch.float32, "magnitude")
    assert not any(value.requires_grad for value in method.model.parameters())
    torch.testing.assert_close(method(kspace[1, 0], operator), image[1, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(method.solve(kspace, operator).value, image)
    direct = method.model(kspace.flatten(0, 1), operator.mask[None])
    torch.testing.assert_close(image.flatten(0, 1), direct)

    method.model.double()
    point = kspace[0, 0].to(torch.complex128)
    direction, weights = operator.forward(draw(32, 36, seed=1)).to(torch.complex128), draw(32, 36).real
    moving = point.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad((weights * method(moving, operator)).sum(), moving)
    ahead, behind = ((weights * method(point + sign * 1e-7 * direction, operator)).sum() for sign in (1, -1))
    slope = float((gradient.conj() * direction).real.sum())
    assert slope == pytest.approx(float((ahead - behind) / 2e-7), rel=1e-5)


@pytest.mark.parametrize("network", [UNET, VARNET])
def test_a_partial_readout_is_reconstructed(operator, kspace, network):
    rows = torch.arange(32) >= 8
    partial = CoilFourier(mask=operator.mask & rows[:, None], coil_maps=operator.coil_maps)
    method = TrainedMultiCoil(network=network)
    image = method(kspace * rows[:, None], partial)
    assert image.isfinite().all()
    # What was not acquired counts for nothing.
    assert torch.equal(method(kspace, partial), image)
    direct = method.model((kspace * rows[:, None]).flatten(0, 1), partial.mask[None])
    torch.testing.assert_close(image.flatten(0, 1), direct)


@pytest.mark.parametrize("network", [UNET, VARNET])
def test_a_single_coil_is_given_as_one_coil_and_comes_back_without(operator, draw, network):
    single = MaskedFourier(mask=operator.mask)
    kspace = single.forward(draw(2, 2, 32, 36).to(torch.complex64)).requires_grad_(True)
    method = TrainedMultiCoil(network=network)
    image = method(kspace, single)
    expected = method.model(kspace.reshape(4, 1, 32, 36), single.mask[None]).reshape(2, 2, 32, 36)
    torch.testing.assert_close(image, expected)
    image.sum().backward()
    assert kspace.grad.shape == kspace.shape
    alone = method(kspace.detach()[1, 0], single)
    assert alone.shape == (32, 36)
    torch.testing.assert_close(alone, image.detach()[1, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", [UNET, VARNET])
def test_coil_maps_of_the_operator_are_not_used(operator, kspace, network):
    method = TrainedMultiCoil(network=network)
    other = CoilFourier(mask=operator.mask, coil_maps=operator.coil_maps.flip(0))
    assert torch.equal(method(kspace, other), method(kspace, operator))


def test_the_unet_takes_any_mask_and_the_varnet_one_with_whole_columns_in_the_centre(operator, kspace):
    radial = CoilFourier(mask=radial_mask(36, 6)[2:34], coil_maps=operator.coil_maps)
    assert TrainedMultiCoil(network=UNET)(kspace, radial).shape == (2, 2, 32, 36)
    with pytest.raises(ValueError, match="expected whole sampled columns in the centre"):
        TrainedMultiCoil(network=VARNET)(kspace, radial)


@pytest.mark.parametrize("network", [UNET, VARNET])
def test_a_checkpoint_gives_the_parameters_back(tmp_path, operator, kspace, network):
    first = TrainedMultiCoil(network=network)
    path = tmp_path / "best.pt"
    write_checkpoint(path, Checkpoint(dict(first.model.state_dict()), {"shape": [99, 99]}))
    assert not torch.equal(first(kspace, operator), TrainedMultiCoil(network=network)(kspace, operator))
    again = TrainedMultiCoil(network=network, checkpoint=path)
    assert torch.equal(again(kspace, operator), first(kspace, operator))


def theirs(name):
    if name == "varnet":
        return models.VarNet(**SIZES), VARNET
    return models.Unet(in_chans=1, out_chans=1, chans=2, num_pool_layers=2), UNET


@pytest.mark.parametrize("name", ["unet", "varnet"])
def test_published_weights_are_taken_with_and_without_the_names_of_lightning(tmp_path, name):
    model, network = theirs(name)
    torch.save(model.state_dict(), tmp_path / "published.pt")
    lightning = {
        "epoch": 49,
        "hyper_parameters": {"chans": 2},
        "state_dict": {f"{name}.{key}": value for key, value in model.state_dict().items()}
        | {"loss.w": torch.ones(1, 1, 7, 7), "ValLoss.quantity": torch.zeros(1)},
    }
    torch.save(lightning, tmp_path / "lightning.ckpt")
    for file in ("published.pt", "lightning.ckpt"):
        found = TrainedMultiCoil(network=network, published=tmp_path / file).model.get_submodule(name)
        for key, value in model.state_dict().items():
            assert torch.equal(found.state_dict()[key], value)


def test_weights_of_another_network_are_refused(tmp_path):
    model, _ = theirs("unet")
    torch.save(model.state_dict(), tmp_path / "unet.pt")
    with pytest.raises(ValueError, match=r"unet.pt: not a checkpoint of this network: \d+ parameters are"):
        TrainedMultiCoil(network=VARNET, published=tmp_path / "unet.pt")
    wider = UNET | {"arguments": {"chans": 4, "num_pool_layers": 2}}
    with pytest.raises(ValueError, match=r"have another shape, as \S+ \(2.* instead of \(4"):
        TrainedMultiCoil(network=wider, published=tmp_path / "unet.pt")


def test_files_that_are_no_weights_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.pt: no such file; download fastMRI's weights"):
        read_published(tmp_path / "none.pt", prefix="unet.")
    torch.save({"model": nn.Linear(1, 1)}, tmp_path / "pickled.pt")
    with pytest.raises(ValueError, match=r"pickled.pt: not readable as tensors alone"):
        read_published(tmp_path / "pickled.pt", prefix="unet.")
    (tmp_path / "half.pt").write_bytes((tmp_path / "pickled.pt").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"half.pt: not readable as tensors alone"):
        read_published(tmp_path / "half.pt", prefix="unet.")
    torch.save({"epoch": 3}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"expected a state_dict, tensors by name.*\['epoch'\]"):
        read_published(tmp_path / "other.pt", prefix="unet.")
    torch.save(torch.zeros(2), tmp_path / "tensor.pt")
    with pytest.raises(ValueError, match="got Tensor"):
        read_published(tmp_path / "tensor.pt", prefix="unet.")


def test_a_network_without_published_weights_says_so(tmp_path):
    torch.save(theirs("unet")[0].state_dict(), tmp_path / "unet.pt")
    with pytest.raises(ValueError, match="Identity takes no published weights"):
        TrainedMultiCoil(network=nn.Identity(), published=tmp_path / "unet.pt")
    with pytest.raises(ValueError, match="got both"):
        TrainedMultiCoil(network=UNET, checkpoint=tmp_path / "a.pt", published=tmp_path / "unet.pt")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"class": "mrilib.networks.varnet:Missing"}, "has no attribute"),
        ({**UNET, "arguments": {"width": 3}}, "TrainedMultiCoil: network .* unexpected keyword argument"),
    ],
)
def test_networks_that_cannot_be_made_are_named(network, message):
    with pytest.raises(ValueError, match=message):
        TrainedMultiCoil(network=network)


@pytest.mark.usefixtures("unchecked")
def test_bad_kspace_and_operators_are_refused(operator, kspace):
    method = TrainedMultiCoil(network=UNET)
    with pytest.raises(ValueError, match="expected complex kspace"):
        method(kspace.real, operator)
    with pytest.raises(ValueError, match=r"expected kspace \(\.\.\., 32, 36\) from the mask"):
        method(kspace[..., 1:], operator)
    with pytest.raises(ValueError, match=r"expected kspace \(\.\.\., coil, ky, kx\)"):
        method(kspace[0, 0, 0], operator)
    with pytest.raises(ValueError, match="expected an operator with a mask"):
        method(kspace, operator.H)
    kspace[0, 0, 0, 8, 8] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        method(kspace, operator)
