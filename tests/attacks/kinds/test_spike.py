import math

import pytest
import torch

from mrilib.attacks.kinds.spike import spike
from mrilib.data.masks import radial_mask
from mrilib.operators.base import norm2
from mrilib.operators.fourier import MaskedFourier


@pytest.mark.parametrize(("lines", "samples"), [(25, 6990), (40, 10941), (80, 20908)])
def test_amplification_under_recovery_is_undersampling(lines, samples):
    # P1, section 5: a method that recovers x and x + cδ turns A†e into ρ = cδ.
    size, radius, location = 256, 3.0, (100, 37)
    operator = MaskedFourier(mask=radial_mask(size, lines))
    perturbation = spike(operator, location, radius)
    assert float(norm2(perturbation)) == pytest.approx(radius)
    assert not perturbation[~operator.mask].any()

    image = operator.pinv(perturbation).abs()
    assert tuple(divmod(int(image.argmax()), size)) == location
    assert float(image.max()) == pytest.approx(radius * math.sqrt(samples) / size)

    delta = torch.zeros(size, size)
    delta[location] = 1.0
    height = radius / float(norm2(operator.forward(delta)))
    torch.testing.assert_close(operator.forward(height * delta), perturbation, rtol=0, atol=1e-6)
    assert height / float(image.max()) == pytest.approx(size**2 / samples)


def test_no_budget_gives_nothing(measured):
    _, _, operator = measured(16, 5)
    assert not spike(operator, (3, 4), 0.0).any()


@pytest.mark.parametrize("location", [(-1, 0), (0, 16), (16, 0)])
def test_refuses_places_outside_the_image(measured, location):
    _, _, operator = measured(16, 5)
    with pytest.raises(ValueError, match=r"spike: expected a location inside \(16, 16\), got"):
        spike(operator, location, 1.0)


@pytest.mark.parametrize("radius", [-1.0, math.nan, math.inf])
def test_refuses_other_radii(measured, radius):
    _, _, operator = measured(16, 5)
    with pytest.raises(ValueError, match="spike: expected a finite radius >= 0"):
        spike(operator, (3, 4), radius)
