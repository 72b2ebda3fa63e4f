import pytest
import torch

from mrilib.data.features import add_feature, feature_window
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_fourier import CoilFourier
from mrilib.operators.fourier import MaskedFourier

SHAPE = (24, 20)


def maps(coils=3, *, items=()):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*items, coils, *SHAPE, generator=generator, dtype=torch.complex128)


def mask():
    found = torch.zeros(SHAPE, dtype=torch.bool)
    found[:, ::2] = True
    found[:, 8:12] = True
    return found


def image(*batch):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(*batch, *SHAPE, generator=generator, dtype=torch.complex128)


PLACE = {"row": 5, "column": 7, "size": 3, "amplitude": -0.4}


def test_the_window_has_its_first_pixel_where_it_is_said():
    window = feature_window(SHAPE, **PLACE)
    assert set(map(tuple, window.nonzero().tolist())) == {(r, c) for r in (5, 6, 7) for c in (7, 8, 9)}
    assert window[6, 8] == pytest.approx(-0.4)


@pytest.mark.parametrize("operator", [MaskedFourier(mask=mask()), CoilFourier(mask=mask(), coil_maps=maps())])
def test_it_is_what_would_have_been_measured(operator):
    x = image(2)
    found = add_feature(operator.forward(x), operator, **PLACE)
    window = feature_window(SHAPE, **PLACE).to(torch.complex128)
    torch.testing.assert_close(found, operator.forward(x + window))


def test_every_item_is_seen_by_its_own_maps():
    operator = CoilFourier(mask=mask(), coil_maps=maps(items=(2,)))
    x = image(2)
    found = add_feature(operator.forward(x), operator, **PLACE)
    window = feature_window(SHAPE, **PLACE).to(torch.complex128)
    torch.testing.assert_close(found, operator.forward(x + window))


def test_a_constant_is_the_same_in_every_coil():
    full = torch.ones(SHAPE, dtype=torch.bool)
    operator = CoilFourier(mask=full, coil_maps=maps())
    kspace = operator.forward(image())
    added = ifft2c(add_feature(kspace, operator, **PLACE, coils="constant") - kspace)
    window = feature_window(SHAPE, **PLACE).to(torch.complex128)
    torch.testing.assert_close(added, window.expand(3, *SHAPE))
    # on nothing its RSS is the root of the number of coils
    empty = ifft2c(add_feature(0 * kspace, operator, **PLACE, coils="constant"))
    assert float(torch.linalg.vector_norm(empty, dim=0).max()) == pytest.approx(3**0.5 * 0.4)


def test_nothing_is_added_outside_the_mask():
    operator = CoilFourier(mask=mask(), coil_maps=maps())
    for coils in ("maps", "constant"):
        added = add_feature(torch.zeros(3, *SHAPE, dtype=torch.complex128), operator, **PLACE, coils=coils)
        assert not (added * ~mask()).abs().any()
        assert added.abs().any()


def test_of_one_coil_both_are_the_same():
    operator = MaskedFourier(mask=mask())
    kspace = operator.forward(image())
    one, other = (add_feature(kspace, operator, **PLACE, coils=coils) for coils in ("maps", "constant"))
    torch.testing.assert_close(one, other)
    window = feature_window(SHAPE, **PLACE).to(torch.complex128)
    torch.testing.assert_close(one - kspace, fft2c(window) * mask())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row": 22}, r"expected 3×3 pixels from \(22, 7\) inside of 24×20"),
        ({"column": -1}, r"from \(5, -1\) inside"),
        ({"size": 0}, "expected 0×0 pixels"),
        ({"amplitude": float("nan")}, "expected a finite amplitude"),
    ],
)
def test_windows_that_are_none(changes, message):
    with pytest.raises(ValueError, match=message):
        feature_window(SHAPE, **(PLACE | changes))


def test_kspace_of_another_operator_is_refused():
    operator = CoilFourier(mask=mask(), coil_maps=maps())
    with pytest.raises(ValueError, match=r"add_feature: expected kspace \(..., 3, 24, 20\)"):
        add_feature(torch.zeros(2, *SHAPE, dtype=torch.complex128), operator, **PLACE)
