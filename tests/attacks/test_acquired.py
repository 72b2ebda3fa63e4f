"""No perturbation has energy where the scanner acquired nothing."""

import pytest

from mrilib.attacks.kinds.base import Conditions
from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.attacks.kinds.localized import Localized
from mrilib.attacks.kinds.whole import Global
from mrilib.attacks.searches.gradient import GradientAscent
from mrilib.attacks.target import Target, clean_of
from mrilib.data.calibration import calibrated
from mrilib.data.measurement import measure
from mrilib.data.sampling.base import acquired_region
from mrilib.data.sampling.columns import Random
from mrilib.operators.base import norm2
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.training.tuning import gaussian_noise
from tests.data.phantom_scan import scan

SHAPE = (48, 48)


@pytest.fixture(scope="module", params=[None, (5, 48)], ids=["columns", "rows and columns"])
def measurement(request):
    """A scan of which the first and last columns, or the first rows as well, were left out."""
    acquired = acquired_region(SHAPE, rows=request.param, columns=(9, 40))
    mask = Random(acceleration=2, center_fraction=0.25).drawn(SHAPE, (3, 4), acquired)
    return calibrated(measure(scan(48) * acquired, mask, acquired=acquired))


def outside(measurement, kspace):
    """Energy where nothing was acquired."""
    return float(norm2(kspace * ~measurement.acquired.expand(SHAPE), axes=3).max())


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (Localized(grid=2), ZeroFilled()),
        (Localized(grid=2), Tikhonov(weight=0.02)),
        (Global(), ZeroFilled()),
        (Gaussian(), ZeroFilled()),
        (Gaussian(), Tikhonov(weight=0.02)),
    ],
)
def test_attacks_stay_within_what_was_acquired(measurement, kind, method):
    operator, kspace = measurement.operator, measurement.kspace
    clean = clean_of(method, kspace, operator, None)
    radius = 0.05 * float(operator.kspace_norm(kspace))
    conditions = Conditions(
        reference=measurement.reference, search=GradientAscent(rounds=[(3, None), (3, 1)]), seed=1
    )
    found = kind.attack(Target(method, operator, kspace, radius, clean), conditions)
    assert float(operator.kspace_norm(found.perturbation)) == pytest.approx(radius, rel=1e-3)
    assert outside(measurement, found.perturbation) == 0.0


def test_noise_of_tuning_stays_within_what_was_acquired(measurement):
    noise = gaussian_noise(measurement.kspace, measurement.operator, 0.1, [0])
    assert noise.abs().max() > 0
    assert outside(measurement, noise) == 0.0
