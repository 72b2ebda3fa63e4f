import pytest
import torch
from torch import nn

from mrilib.data.masks import radial_mask
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.trained import Trained, start_from
from mrilib.store.checkpoints import Checkpoint, write_checkpoint

TIRAMISU = {
    "class": "mrilib.networks.tiramisu:Tiramisu",
    "arguments": {"first": 4, "growth": 4, "down": [1], "bottleneck": 1, "up": [1]},
}
INVERSE = {"class": "mrilib.networks.tiramisu:LearnedInverse", "arguments": {"size": 16}}
UNET = {"class": "mrilib.networks.unet:UNet", "arguments": {"base": 2, "levels": 2}}
ITNET = {"class": "mrilib.networks.itnet:ItNet", "arguments": {"base": 2, "levels": 2, "steps": 2}}


class Doubled(nn.Module):
    """A user's own network."""

    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, image):
        return self.factor * image


class Narrow(nn.Module):
    def forward(self, image):
        return image[:, :1]


@pytest.fixture
def operator():
    return MaskedFourier(mask=radial_mask(16, 6))


@pytest.fixture
def kspace(operator, draw):
    return operator.forward(draw(2, 3, 16, 16).to(torch.complex64))


@pytest.mark.parametrize("residual", [True, False])
def test_a_module_acts_on_the_zero_filled_image(operator, kspace, residual):
    found = Trained(network=Doubled(), residual=residual)(kspace, operator)
    torch.testing.assert_close(found, (3 if residual else 2) * operator.pinv(kspace))


@pytest.mark.parametrize(
    "arguments",
    [{"network": TIRAMISU}, {"network": UNET}, {"network": ITNET}, {"network": TIRAMISU, "inverse": INVERSE}],
)
def test_networks_named_in_a_config_reconstruct_and_can_be_differentiated(operator, kspace, arguments, draw):
    method = Trained(**arguments)
    image = method(kspace, operator)
    assert image.shape == kspace.shape
    assert image.dtype == torch.complex64
    assert not any(value.requires_grad for value in method.model.parameters())
    torch.testing.assert_close(method(kspace[1, 2], operator), image[1, 2], rtol=0, atol=1e-5)
    torch.testing.assert_close(method.solve(kspace, operator).value, image)
    # The derivative along a direction, in double precision.
    method.model.double()
    double = kspace[0, 0].to(torch.complex128)
    cotangent, direction = draw(16, 16), operator.forward(draw(16, 16, seed=1))
    if "inverse" not in arguments:
        moving = double.clone().requires_grad_(True)
        value = (cotangent.conj() * method(moving, operator)).real.sum()
        (gradient,) = torch.autograd.grad(value, moving)
        step = 1e-6
        ahead, behind = (
            (cotangent.conj() * method(double + sign * step * direction, operator)).real.sum()
            for sign in (1, -1)
        )
        slope = (gradient.conj() * direction).real.sum()
        assert float(slope) == pytest.approx(float((ahead - behind) / (2 * step)), rel=1e-4)


@pytest.fixture
def coils(draw):
    """Three coils, with maps of their own for each of two items."""
    maps = draw(2, 3, 16, 16, seed=2).to(torch.complex64)
    return CoilFourier(mask=radial_mask(16, 6), coil_maps=maps)


@pytest.mark.parametrize("residual", [True, False])
def test_with_coils_a_module_acts_on_the_image_that_the_maps_combine(coils, draw, residual):
    kspace = coils.forward(draw(4, 2, 16, 16).to(torch.complex64))
    assert kspace.shape == (4, 2, 3, 16, 16)
    found = Trained(network=Doubled(), residual=residual)(kspace, coils)
    torch.testing.assert_close(found, (3 if residual else 2) * coils.adjoint(kspace))


def test_with_coils_networks_are_batched_and_can_be_differentiated(coils, draw):
    method = Trained(network=TIRAMISU)
    one = CoilFourier(mask=coils.mask, coil_maps=coils.coil_maps[0])
    kspace = one.forward(draw(2, 3, 16, 16).to(torch.complex64))
    image = method(kspace, one)
    assert image.shape == (2, 3, 16, 16)
    torch.testing.assert_close(method(kspace[1, 2], one), image[1, 2], rtol=0, atol=1e-5)
    method.model.double()
    one = CoilFourier(mask=coils.mask, coil_maps=coils.coil_maps[0].to(torch.complex128))
    double, weights = kspace[0, 0].to(torch.complex128), draw(16, 16)
    direction, moving = one.forward(draw(16, 16, seed=1)), double.clone().requires_grad_(True)
    value = (weights.conj() * method(moving, one)).real.sum()
    (gradient,) = torch.autograd.grad(value, moving)
    ahead, behind = (
        (weights.conj() * method(double + sign * 1e-6 * direction, one)).real.sum() for sign in (1, -1)
    )
    slope = float((gradient.conj() * direction).real.sum())
    assert slope == pytest.approx(float((ahead - behind) / 2e-6), rel=1e-4)


def test_a_learned_inverse_is_for_a_single_coil(coils, draw):
    kspace = coils.forward(draw(2, 16, 16).to(torch.complex64))
    with pytest.raises(ValueError, match=r"LearnedInverse inverts the k-space of a single coil, got \(2, 3,"):
        Trained(network=TIRAMISU, inverse=INVERSE)(kspace, coils)


def test_a_checkpoint_gives_the_parameters_back(tmp_path, operator, kspace):
    first, second = Trained(network=TIRAMISU), Trained(network=TIRAMISU)
    path = tmp_path / "best.pt"
    write_checkpoint(path, Checkpoint(dict(first.model.state_dict()), {"shape": [16, 16]}))
    assert not torch.equal(first(kspace, operator), second(kspace, operator))
    assert torch.equal(first(kspace, operator), Trained(network=TIRAMISU, checkpoint=path)(kspace, operator))


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path):
    path = tmp_path / "best.pt"
    write_checkpoint(path, Checkpoint(dict(Trained(network=UNET).model.state_dict()), {}))
    with pytest.raises(
        ValueError, match=r"best.pt: not a checkpoint of this network: \d+ parameters are missing, as"
    ):
        Trained(network=TIRAMISU, checkpoint=path)
    wider = {**TIRAMISU, "arguments": TIRAMISU["arguments"] | {"first": 8}}
    with pytest.raises(ValueError, match=r"have another shape, as network.*\(4.*instead of \(8"):
        Trained(network=wider, checkpoint=Checkpoint(dict(Trained(network=TIRAMISU).model.state_dict()), {}))


def test_k_space_of_another_size_than_the_checkpoints_is_refused(kspace, operator):
    state = dict(Trained(network=TIRAMISU).model.state_dict())
    method = Trained(network=TIRAMISU, checkpoint=Checkpoint(state, {"shape": [32, 32]}))
    with pytest.raises(ValueError, match=r"expected k-space \(..., 32, 32\)"):
        method(kspace, operator)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"text"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "best.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"best.pt: not a readable checkpoint"):
        Trained(network=TIRAMISU, checkpoint=path)


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "best.pt"
    torch.save({"format": 1, "state": Doubled(), "about": "{}"}, path)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        Trained(network=TIRAMISU, checkpoint=path)


def test_a_missing_or_foreign_checkpoint_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.pt: no such checkpoint; train first"):
        Trained(network=TIRAMISU, checkpoint=tmp_path / "none.pt")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="of another program or version"):
        Trained(network=TIRAMISU, checkpoint=tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"class": "mrilib.networks.missing:Net"}, "No module named"),
        ({"class": "mrilib.networks.tiramisu:Missing"}, "has no attribute"),
        ({"class": "mrilib.data.masks:radial_mask"}, "expected a subclass of Module"),
        ({"class": "tiramisu"}, "expected package.module:ClassName"),
        ({"arguments": {}}, "expected network as a module or as"),
        ({**UNET, "arguments": {"width": 3}}, "unexpected keyword argument 'width'"),
    ],
)
def test_networks_that_cannot_be_made_are_named(network, message):
    with pytest.raises(ValueError, match=message):
        Trained(network=network)


def test_a_network_that_changes_the_shape_is_refused(operator, kspace):
    with pytest.raises(ValueError, match=r"Narrow: expected output \(6, 2, 16, 16\) like its input"):
        Trained(network=Narrow())(kspace, operator)


@pytest.mark.usefixtures("unchecked")
def test_bad_kspace_is_refused(operator, kspace):
    with pytest.raises(ValueError, match="expected complex kspace"):
        Trained(network=Doubled())(kspace.real, operator)
    kspace[0, 0, 8, 8] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        Trained(network=Doubled())(kspace, operator)


def test_a_network_starts_from_anothers_and_keeps_its_own_inverse():
    plain, learned = Trained(network=TIRAMISU), Trained(network=TIRAMISU, inverse=INVERSE)
    before = {name: value.clone() for name, value in learned.model.inverse.state_dict().items()}
    start_from(learned.model, dict(plain.model.state_dict()), "kept.pt")
    for name, value in plain.model.network.state_dict().items():
        assert torch.equal(learned.model.network.state_dict()[name], value)
    for name, value in before.items():
        assert torch.equal(learned.model.inverse.state_dict()[name], value)
    with pytest.raises(ValueError, match=r"kept.pt: not a checkpoint of this network"):
        start_from(learned.model, dict(Trained(network=UNET).model.state_dict()), "kept.pt")


def test_the_hash_of_a_checkpoint_is_that_of_its_parameters(tmp_path):
    state = dict(Trained(network=TIRAMISU).model.state_dict())
    assert Checkpoint(state, {}).hash == Checkpoint(dict(reversed(state.items())), {"epoch": 3}).hash
    name = next(iter(state))
    assert Checkpoint({**state, name: state[name] + 1}, {}).hash != Checkpoint(state, {}).hash
