import math

import pytest
import torch

from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.solvers.coils import line_inverses
from mrilib.solvers.coils.data import scaled_data
from mrilib.solvers.coils.line_inverses import LineInverses, applies


def measurement_of(axis, *, sets=False, dtype=torch.complex128):
    """Two items of noise on lines, half of them sampled, by three coils, empty in a corner."""
    generator = torch.Generator().manual_seed(3)
    maps = torch.randn(*((2,) if sets else ()), 3, 12, 16, generator=generator, dtype=torch.complex128)
    maps[..., :3, :4] = 0.0
    line = torch.rand(16 if axis == "columns" else 12, generator=generator) < 0.5
    line[len(line) // 2] = True
    mask = line.expand(12, 16) if axis == "columns" else line[:, None].expand(12, 16)
    operator = CoilFourier(mask=mask, coil_maps=maps.to(dtype))
    image = torch.randn(2, 12, 16, generator=generator, dtype=torch.complex128).to(dtype)
    return scaled_data(operator.forward(image), operator, "test").measurement


@pytest.fixture(params=["columns", "rows"])
def axis(request):
    return request.param


PENALTY = torch.tensor([0.05, 0.2], dtype=torch.float64)


@pytest.mark.parametrize("sets", [False, True])
def test_inverse_is_that_of_the_normal_operator(axis, sets, draw):
    measurement, image = measurement_of(axis, sets=sets), draw(2, 12, 16)
    applied = measurement.normal(image) + PENALTY[:, None, None] * image
    found = LineInverses(measurement, PENALTY).solve(applied)
    torch.testing.assert_close(found, image, rtol=0, atol=1e-11)


def test_the_product_of_parts_is_that_of_matrices(axis, draw):
    inverses, image = LineInverses(measurement_of(axis), PENALTY), draw(2, 12, 16)
    lines = image if axis == "columns" else image.mT
    expected = (torch.complex(*inverses.parts) @ lines[..., None])[..., 0]
    found = inverses.solve(image)
    torch.testing.assert_close(found, expected if axis == "columns" else expected.mT, rtol=0, atol=1e-11)
    single = LineInverses(measurement_of(axis, dtype=torch.complex64), PENALTY.float())
    torch.testing.assert_close(
        single.solve(image.to(torch.complex64)), found.to(torch.complex64), rtol=1e-3, atol=1e-3
    )


def test_lines_are_inverted_in_parts(axis, monkeypatch):
    whole = LineInverses(measurement_of(axis), PENALTY)
    monkeypatch.setattr(line_inverses, "LINES_AT_ONCE", 5)
    for part, expected in zip(LineInverses(measurement_of(axis), PENALTY).parts, whole.parts, strict=True):
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-12)


def test_items_take_theirs(axis, draw):
    inverses, image = LineInverses(measurement_of(axis), PENALTY), draw(2, 12, 16)
    found = inverses[torch.tensor([1])].solve(image[1:])
    torch.testing.assert_close(found, inverses.solve(image)[1:], rtol=0, atol=0)


def test_applies_to_coils_on_lines_that_fit_the_memory(axis, monkeypatch):
    measurement = measurement_of(axis)
    assert applies(measurement)
    mask = torch.zeros(12, 16, dtype=torch.bool)
    mask[6, 8] = True
    for operator in (
        MaskedFourier(mask=mask),
        CoilFourier(mask=mask, coil_maps=torch.ones(2, 12, 16, dtype=torch.complex128)),
    ):
        kspace = operator.forward(torch.ones(12, 16, dtype=torch.complex128))
        assert not applies(scaled_data(kspace, operator, "test").measurement)
    entries = math.prod((12, 16, 16 if axis == "columns" else 12))
    monkeypatch.setattr(line_inverses, "LARGEST_INVERSE", entries)
    assert applies(measurement)
    monkeypatch.setattr(line_inverses, "LARGEST_INVERSE", entries - 1)
    assert not applies(measurement)
