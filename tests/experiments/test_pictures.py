"""What figures show of stored images."""

import numpy as np
import pytest
import torch

from mrilib.data.measurement import measure_image
from mrilib.experiments.pictures import attack_picture, clean_pictures, picture_title, zero_filled
from mrilib.experiments.scoring import score_image
from mrilib.experiments.stored import read_results
from mrilib.reconstructors.base import Reconstructor
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.store.arrays import Group, write_groups
from tests.experiments.scenes import ASCENT, LEVEL, PEAK, Stored, phantom, scan


class Modulus(Reconstructor):
    """A method that returns magnitudes, as coils see them."""

    output = "magnitude"

    def __call__(self, kspace, operator):
        return operator.seen(Tikhonov(weight=0.02)(kspace, operator)).abs()


def unit(height, **attributes):
    """A perturbation of one pixel, and a reconstruction that raises it to `height`."""
    reconstruction = np.zeros((8, 8), np.complex64)
    reconstruction[2, 3] = height
    perturbation = np.zeros((8, 8), np.complex64)
    perturbation[4, 4] = 1.0
    about = {"level": 0.04, "factor": 1.0, "tuned": "0.04", "kind": "localized"} | attributes
    return Group({"perturbation": perturbation, "reconstruction": reconstruction}, about)


@pytest.fixture
def files(tmp_path):
    image = torch.zeros(8, 8)
    image[4, 4] = 1.0
    stored = Stored(tmp_path, measure_image(image, torch.ones(8, 8, dtype=torch.bool)), ZeroFilled())
    clean = Group({"reconstruction": np.zeros((8, 8), np.complex64)}, {"level": 0.04})
    write_groups(stored.folder / "reconstruction.h5", {"": Group(attributes=stored.root), "0.04": clean})
    place = {"row": 2, "column": 3}
    failed = {"failed": "no convergence", "factor": 1.0, "tuned": "0.04", "level": 0.08}
    groups = {
        "perturbed/peak/0.04/1": unit(1.0, **place),
        "perturbed/disk/0.04/1": unit(4.0, **place),
        "perturbed/peak/0.08/1": Group(attributes=failed),
    }
    names = stored.with_units(groups)
    groups = {"perturbed/peak/0.04/1": unit(2.0, **place), "carried/tv/peak/0.04/1": unit(3.0)}
    stored.with_units(groups, "transfer.h5")
    return (*names, stored.folder / "transfer.h5")


def test_the_search_that_counts_is_shown(files):
    own, both = read_results(*files[:3]), read_results(*files)
    assert attack_picture(own, "peak", 0.04).severity == 1.0
    assert attack_picture(both, "peak", 0.04).severity == 2.0
    assert attack_picture(both, "peak", 0.04, made_for="m").severity == 2.0
    assert attack_picture(both, "disk", 0.04).severity == 4.0
    carried = attack_picture(both, "peak", 0.04, made_for="tv")
    # ‖r‖∞ = 1/8 for one entry of k-space on 8×8 pixels
    assert (carried.severity, carried.alpha, carried.location) == (3.0, pytest.approx(24.0), (-1, -1))


def test_a_failed_unit_has_no_picture(files):
    assert attack_picture(read_results(*files), "peak", 0.08) is None


def test_a_single_coil_keeps_its_phase_and_its_orientation(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    results = read_results(*stored.attacked(peak=PEAK | ASCENT))
    found = attack_picture(results, "peak", LEVEL)
    image = stored.measurement.reference.numpy()
    np.testing.assert_array_equal(found.image, image)
    e = torch.from_numpy(results.perturbation("peak", LEVEL).unit.arrays["perturbation"])
    np.testing.assert_array_equal(found.perturbed, image + stored.operator.to_image(e).numpy())
    assert found.picture == "A†e"
    assert found.places[..., 0].tolist() == [[8, 8], [24, 24]]
    assert found.places[..., 1].tolist() == [[8, 24], [8, 24]]


def test_scans_are_upright_and_in_units_of_their_maximum(tmp_path):
    measurement = scan()
    stored = Stored(tmp_path, measurement, Tikhonov(weight=0.02))
    results = read_results(*stored.attacked(peak=PEAK | ASCENT | {"grid": 4, "region": "object"}))
    found = attack_picture(results, "peak", LEVEL)
    reference = measurement.reference.numpy()
    np.testing.assert_allclose(found.image, reference[::-1] / reference.max(), rtol=1e-6)
    unit = results.perturbation("peak", LEVEL).unit
    r = stored.operator.to_image(torch.from_numpy(unit.arrays["perturbation"])).abs().numpy()
    expected = (reference + r[4:20, 3:17])[::-1] / reference.max()
    np.testing.assert_allclose(found.perturbed, expected, rtol=1e-6)
    row, column = unit.attributes["row"], unit.attributes["column"]
    assert found.location == (15 - (row - 4), column - 3)
    left_out = np.isnan(unit.arrays["severities_first_round"])[::-1]
    np.testing.assert_array_equal(np.isnan(found.severities), left_out)
    np.testing.assert_array_equal(np.isnan(found.places[..., 0]), left_out)
    assert left_out.any()
    # Every place that was attacked is inside the object.
    rows, columns = found.places[~left_out].astype(int).T
    assert (found.image[rows, columns] > 0.05).all()
    assert found.picture == "|Aᴴe|"


def test_what_a_panel_of_methods_shows_agrees_with_the_scores(tmp_path):
    measurement = scan()
    stored = Stored(tmp_path, measurement, Tikhonov(weight=0.02))
    files = stored.attacked(all={"kind": "global", "steps": 3, "restarts": 1} | ASCENT)
    results = read_results(*files)
    found = attack_picture(results, "all", LEVEL)
    clean, row = score_image(*files)
    assert (found.clean_ssim, found.ssim) == (clean["ssim"], row["ssim"])
    assert found.severity == row["severity"]
    peak = float(measurement.reference.max())
    before, after = (
        unit.arrays["reconstruction"][4:20, 3:17][::-1] / peak
        for unit in (results.clean("clean"), results.perturbation("all", LEVEL).unit)
    )
    np.testing.assert_allclose(found.clean, before, rtol=1e-6)
    np.testing.assert_allclose(found.artifact, after - before, atol=1e-6)
    np.testing.assert_allclose(found.perturbed - found.image, found.added, atol=1e-6)
    assert found.location == (-1, -1)


def test_maps_of_methods_that_return_magnitudes_are_of_moduli_inside_the_object(tmp_path):
    """On an image that is not square, cropped and stored upside down."""
    measurement = scan(rows=30, columns=20, shape=(22, 14))
    method = Modulus()
    stored = Stored(tmp_path, measurement, method)
    results = read_results(*stored.attacked(peak=PEAK | ASCENT | {"grid": 3, "region": "object"}))
    found = attack_picture(results, "peak", LEVEL)
    unit = results.perturbation("peak", LEVEL).unit
    assert found.artifact.dtype.kind == "f"
    visible = measurement.operator.seen(torch.ones(30, 20)).numpy() > 0
    moduli = unit.arrays["reconstruction"] - results.clean("clean").arrays["reconstruction"]
    expected = np.where(visible, moduli, 0.0)
    peak = float(measurement.reference.max())
    assert found.severity == pytest.approx(np.abs(expected).max() / peak, rel=1e-6)
    np.testing.assert_allclose(found.artifact, expected[4:26, 3:17][::-1] / peak, atol=1e-6)
    taken = np.isfinite(found.severities)
    np.testing.assert_array_equal(np.isfinite(found.places[..., 0]), taken)
    assert taken.any()
    rows, columns = found.places[taken].astype(int).T
    assert (found.image[rows, columns] > 0.05).all()
    # The place of the attack is one of the map's, and the largest severity of its map is no smaller.
    assert list(found.location) in found.places[taken].tolist()
    # What is judged is no less than what the place had after the first round.
    at = np.all(found.places == np.array(found.location), axis=-1)
    assert found.severity >= found.severities[at].item() * (1 - 1e-3)


def test_a_place_outside_the_reference_has_no_close_up(tmp_path):
    stored = Stored(tmp_path, scan(), ZeroFilled())
    files = stored.attacked(gaussian={"kind": "gaussian"})
    results = read_results(*files)
    unit = results.perturbation("gaussian", LEVEL).unit
    unit.attributes.update(row=23, column=10)
    results = read_results(*stored.with_units({f"perturbed/gaussian/{LEVEL:g}/1": unit}))
    assert attack_picture(results, "gaussian", LEVEL).location == (-1, -1)


def test_zero_filled_images_are_those_that_coils_see(tmp_path):
    measurement = scan()
    operator = measurement.operator
    expected = operator.seen(operator.adjoint(measurement.kspace))[4:20, 3:17].flip(0).numpy()
    np.testing.assert_allclose(zero_filled(measurement), expected / float(measurement.reference.max()))
    single = phantom()
    np.testing.assert_array_equal(zero_filled(single), single.operator.pinv(single.kspace).numpy())


def test_clean_pictures_are_of_the_lowest_level(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    image = stored.clean.value.numpy()
    groups = {"0.01": Group({"reconstruction": image}), "0.1": Group({"reconstruction": 2 * image})}
    write_groups(stored.folder / "reconstruction.h5", {"": Group(attributes=stored.root)} | groups)
    other = Stored(tmp_path, phantom(), ZeroFilled(), name="b")
    failed = {"": Group(attributes=other.root), "clean": Group(attributes={"failed": "out of steps"})}
    write_groups(other.folder / "reconstruction.h5", failed)
    paths = [each.folder / "reconstruction.h5" for each in (stored, other)]
    found = clean_pictures(stored.path, paths)
    np.testing.assert_array_equal(found["m"].image, image)
    assert (found["b"].image, found["b"].failed) == (None, "out of steps")


def test_titles_say_what_an_image_is(tmp_path):
    assert picture_title(scan()) == "v, slice 4, simulated"
    stored = Stored(tmp_path, phantom(1), ZeroFilled(), position=1)
    assert (
        picture_title(read_results(stored.path, stored.folder / "reconstruction.h5").measurement) == "set 1"
    )
