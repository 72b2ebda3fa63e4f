import math

import numpy as np
import pandas as pd
import pytest

from mrilib.data.spectra import KINDS, low_frequency_share
from mrilib.experiments.difficulty import (
    CORRELATION,
    CROSSING,
    IMAGES,
    REMAINING,
    SHARE,
    Difficulty,
)
from tests.experiments.frames import clean, run_of

SELECTORS = {"zero": None, "sense": None}
WIDTH, COUNT, HARD = 64, 24, 6
CROSSES = 9
SETS = {"pool": "pool", "hard": "hard", "control": "control"}


def energies(hard, generator):
    """Of every column; hard images have half of what is below a frequency moved above it."""
    frequency = np.arange(WIDTH) - WIDTH // 2
    energy = 1.0 / (1.0 + np.abs(frequency)) ** 2 * (1 + 0.05 * generator.random(WIDTH))
    if hard:
        inside = np.abs(frequency) < CROSSES
        moved = 0.5 * energy[inside].sum()
        energy = np.where(inside, 0.5 * energy, energy + moved / (~inside).sum())
    return frequency, energy


def slices(name, chosen, luck, *, mask="mask"):
    """Rows of scores of some slices of the pool, under a mask that is the more lucky the larger `luck`."""
    return [
        clean(
            0.1,
            source=name,
            mask=mask,
            domain=f"{name}@{mask}",
            method=method,
            position=position,
            volume=f"v{each % 8}",
            slice=float(each),
            patient=f"p{each % 8}",
            snr=10.0 + each,
            ssim=0.8 - (0.1 + luck) * (each < HARD) + 0.001 * each,
        )
        for method in SELECTORS
        for position, each in enumerate(chosen)
    ]


@pytest.fixture(scope="module")
def run():
    generator = np.random.default_rng(1)
    rows = slices("pool", range(COUNT), 0.1, mask="columns")
    rows += slices("hard", range(HARD), 0.0) + slices("control", range(HARD, 2 * HARD), 0.0)
    spectra = []
    for each in range(COUNT):
        frequency, energy = energies(each < HARD, generator)
        about = {"source": "pool", "mask": "columns", "position": each, "volume": f"v{each % 8}"}
        spectra.append(pd.DataFrame({"frequency": frequency, "energy": energy}).assign(**about))
    frame = pd.concat(spectra, ignore_index=True).reindex(columns=list(KINDS))
    return run_of(rows, methods=SELECTORS, spectra=frame, sources=list(SETS))


def found(run, **more):
    records = Difficulty(pool="pool", hard="hard", control="control", **more).records(run)
    return {(each.quantity, each.method, each.row["set"], each.row["references"]): each for each in records}


def test_a_planted_lack_of_low_frequencies_is_found(run):
    records = found(run)
    hard, pool = (records[SHARE, IMAGES, name, "all"] for name in ("hard", "pool"))
    assert hard.value < pool.value
    correlation = records[CORRELATION, IMAGES, "pool", "all"]
    assert 0.2 < correlation.value < 1
    assert correlation.low < correlation.value < correlation.high
    assert records[CROSSING, IMAGES, "hard", "all"].value == CROSSES


def test_what_was_luck_of_the_selecting_mask_is_told(run):
    remaining = found(run)[REMAINING, "zero", "hard", "all"]
    # Gaps of 0.1 and 0.2, and those of the numbers that tell images apart.
    between = 0.001 * HARD
    assert remaining.value == pytest.approx((0.1 + between) / (0.2 + between))
    assert remaining.n == HARD


def test_noisy_references_are_flagged_and_left_out(run):
    records = found(run, least_snr=13.0)
    clear = records[SHARE, IMAGES, "hard", "not noisy"]
    assert (clear.n, records[SHARE, IMAGES, "hard", "all"].n) == (HARD - 3, HARD)
    assert records[REMAINING, "zero", "hard", "not noisy"].n == HARD - 3
    frame = Difficulty(pool="pool", hard="hard", control="control", least_snr=13.0).frame(run, [])
    assert frame["noisy"].sum() == 3
    assert frame["hard"].sum() == frame["control"].sum() == HARD
    assert not any(key[3] == "not noisy" for key in found(run))


def test_images_alike_have_no_crossing(run):
    same = run.spectra.assign(energy=1.0)
    from dataclasses import replace

    records = found(replace(run, spectra=same))
    assert math.isnan(records[CROSSING, IMAGES, "hard", "all"].value)
    assert math.isnan(records[CORRELATION, IMAGES, "pool", "all"].value)


def test_an_image_without_spectrum_is_told(run):
    from dataclasses import replace

    lacking = replace(run, spectra=run.spectra[run.spectra["position"] != 3])
    with pytest.raises(ValueError, match="got none of position 3"):
        found(lacking)


@pytest.mark.parametrize("width", [64, 65])
@pytest.mark.parametrize("fraction", [0.05, 0.08, 0.1])
def test_low_frequencies_are_those_of_the_center_of_a_mask(width, fraction):
    from fastmri.data.subsample import RandomMaskFunc

    function = RandomMaskFunc([fraction], [4])
    center = function.calculate_center_mask((1, width, 1), round(width * fraction))
    energy = np.random.default_rng(width).random(width)
    frequency = np.arange(width, dtype=float) - width // 2
    expected = energy[center.ravel() > 0].sum() / energy.sum()
    assert low_frequency_share(frequency, energy, fraction) == pytest.approx(expected)
