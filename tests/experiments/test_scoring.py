"""Scores of stored images, against the definitions written out in double precision."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from mrilib.attacks.kinds.spike import spike
from mrilib.experiments.columns import COLUMNS
from mrilib.experiments.scores import read_scores, scores_csv
from mrilib.experiments.scoring import score_image
from mrilib.jobs.transfer import carried_unit
from mrilib.operators.coil_images import center_crop
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.store.arrays import Group, read_group, write_groups
from tests.experiments.scenes import ASCENT, LEVEL, PEAK, SIZE, Stored, phantom, scan

GAUSSIAN = {"kind": "gaussian"}


def perturbed(rows):
    return [row for row in rows if row["kind"] != "reconstruction"]


def test_the_zero_filled_control_reaches_its_known_worst_case(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    clean, row = score_image(*stored.attacked(peak=PEAK | ASCENT))
    radius = LEVEL * float(stored.measurement.kspace.norm())
    assert row["amplification"] == pytest.approx(1.0, rel=1e-5)
    assert row["severity"] == pytest.approx(radius * math.sqrt(stored.operator.samples) / SIZE, rel=1e-4)
    assert row["artifact_norm"] == pytest.approx(
        radius / float(stored.measurement.reference.norm()), rel=1e-4
    )
    assert (clean["kind"], clean["attack"], clean["made_for"], clean["tuned"]) == (
        "reconstruction",
        "",
        "",
        "clean",
    )
    assert (clean["weight"], clean["seconds"], clean["solver_steps"]) == (0.25, 2.0, 7.0)
    assert (row["kind"], row["attack"], row["made_for"], row["region"]) == ("localized", "peak", "m", "image")
    assert set(clean) == set(row) == set(COLUMNS)


def test_an_attack_beats_noise_of_its_norm_and_its_scores_are_consistent(tmp_path):
    attack = PEAK | {"search": "mrilib.attacks.searches.coupled:CoupledAscent"}
    stored = Stored(tmp_path, phantom(), TotalVariation(weight=0.01))
    files = stored.attacked(peak=attack, gaussian=GAUSSIAN)
    clean, noise, peak = score_image(*files)
    assert (peak["attack"], noise["attack"]) == ("peak", "gaussian")
    assert peak["severity"] > 2 * noise["severity"]
    assert peak["amplification"] > noise["amplification"]
    assert peak["clean_error"] == noise["clean_error"] == clean["relative_error"] < peak["relative_error"]
    assert clean["ssim"] > peak["ssim"]
    largest = float(stored.measurement.reference.max())
    stored_accuracy = read_group(files[2], f"perturbed/peak/{LEVEL:g}/1").attributes["accuracy"]
    assert peak["accuracy"] == pytest.approx(stored_accuracy / largest)
    assert 0 < peak["accuracy"] < 0.1 * noise["severity"]
    # |ρ| bounds the difference of moduli
    assert peak["amplification_of_moduli"] <= peak["amplification"] * (1 + 1e-6)
    assert peak["failed"] == ""


CASES = [("complex", 0.75, 0.75), ("complex", None, math.nan), ("magnitude", 0.75, math.nan)]


def test_the_null_space_share_is_that_of_the_stored_complex_reconstruction(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    unit = read_group(stored.folder / "reconstruction.h5", "clean")
    for output, share, expected in CASES:
        path, about = stored.folder / "other.h5", {"null_space_share": share}
        root = Group(attributes=stored.root | {"output": output})
        write_groups(path, {"": root, "clean": replace(unit, attributes=unit.attributes | about)})
        (row,) = score_image(stored.path, path)
        assert row["null_space_share"] == pytest.approx(expected, nan_ok=True)
        assert row["relative_error"] > 0


def test_the_residual_says_whether_the_constrained_problem_is_solved(tmp_path):
    """Of zero-filling it vanishes, of total variation it grows with the weight and passes the budget."""
    zero = Stored(tmp_path, phantom(), ZeroFilled())
    _, row = score_image(*zero.attacked(gaussian=GAUSSIAN))
    assert row["data_residual"] < 1e-5
    assert row["gradient_evaluations"] == 0.0
    found = []
    for weight in (1e-3, 1e-2, 1e-1):
        stored = Stored(tmp_path, phantom(), TotalVariation(weight=weight), name=f"tv-{weight:g}")
        files = stored.attacked(peak=PEAK | ASCENT)
        _, row = score_image(*files)
        found.append(row["data_residual"])
        unit = read_group(files[2], f"perturbed/peak/{LEVEL:g}/1")
        data = stored.measurement.kspace.to(torch.complex128) + torch.from_numpy(unit.arrays["perturbation"])
        again = TotalVariation(weight=weight, tolerance=1e-6).solve(data, stored.operator).value
        misfit = stored.operator.forward(again) - data
        expected = float(misfit.norm() / (LEVEL * stored.measurement.kspace.norm()))
        assert row["data_residual"] == pytest.approx(expected, rel=0.05)
        assert row["gradient_evaluations"] > 0
    assert found == sorted(found)
    assert found[0] < 1 < found[-1]


def test_the_residual_is_over_the_budget_of_the_attack(tmp_path):
    rows, measured = {}, phantom()
    # Were most of k-space left out, the two would be as far apart.
    measured = replace(measured, column_energy=4.0 * measured.kspace.abs().double().square().sum(0))
    for name, more in {"data": {}, "full": {"relative_to": "full"}}.items():
        stored = Stored(tmp_path, measured, TotalVariation(weight=1e-2), name=f"tv-{name}")
        files = stored.attacked(noise=GAUSSIAN | more)
        _, rows[name] = score_image(*files)
        unit = read_group(files[2], f"perturbed/noise/{LEVEL:g}/1")
        perturbation = torch.from_numpy(unit.arrays["perturbation"])
        data = stored.measurement.kspace.to(torch.complex128) + perturbation
        again = TotalVariation(weight=1e-2, tolerance=1e-6).solve(data, stored.operator).value
        misfit = stored.operator.forward(again) - data
        expected = float(misfit.norm() / perturbation.norm())
        assert rows[name]["data_residual"] == pytest.approx(expected, rel=0.05)
    assert rows["full"]["perturbation_norm"] == pytest.approx(2 * rows["data"]["perturbation_norm"], rel=1e-5)


def test_a_method_that_does_not_converge_fails_with_its_reason(tmp_path):
    stored = Stored(tmp_path, phantom(), TotalVariation(weight=0.01, tolerance=1e-9, max_steps=2))
    rows = score_image(*stored.attacked(gaussian=GAUSSIAN))
    assert [row["kind"] for row in rows] == ["reconstruction", "gaussian"]
    for row in rows:
        assert "max_steps" in row["failed"]
        assert all(math.isnan(row[name]) for name in ("severity", "ssim", "relative_error"))


@pytest.mark.parametrize("output", ["complex", "magnitude"])
@pytest.mark.parametrize("through_adjoint", [True, False])
def test_scores_of_coils_are_those_of_the_definitions(tmp_path, output, through_adjoint):
    stored = Stored(tmp_path, scan(), ZeroFilled())
    stored.root |= {"output": output, "through_adjoint": through_adjoint}
    rng = np.random.default_rng(0)
    clean, after = (rng.standard_normal((24, 20)) + 1j * rng.standard_normal((24, 20)) for _ in range(2))
    if output == "magnitude":
        clean, after = np.abs(clean), np.abs(after)
    error = torch.from_numpy(rng.standard_normal((3, 24, 20)) + 1j * rng.standard_normal((3, 24, 20)))
    error = (error * stored.operator.mask).to(torch.complex64)
    single = np.complex64 if output == "complex" else np.float32
    unit = {"level": LEVEL, "factor": 1.0, "tuned": "clean", "kind": "global"}
    arrays = {"perturbation": error.numpy(), "reconstruction": after.astype(single)}
    write_groups(
        stored.folder / "reconstruction.h5",
        {"": Group(attributes=stored.root), "clean": Group({"reconstruction": clean.astype(single)})},
    )
    _, row = score_image(*stored.with_units({f"perturbed/all/{LEVEL:g}/1": Group(arrays, unit)}))
    maps = stored.measurement.coil_maps.to(torch.complex128).numpy()
    reference = stored.measurement.reference.double().numpy()
    shifted = np.fft.ifftshift(error.to(torch.complex128).numpy(), axes=(-2, -1))
    images = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))
    r = np.abs((maps.conj() * images).sum(0)).max()
    seen = (np.abs(maps) ** 2).sum(0) > 0
    moduli = np.abs(after) - np.abs(clean)
    rho = after - clean
    if output == "magnitude":
        moduli, rho = moduli * seen, rho * seen
    middle = center_crop(torch.from_numpy(np.abs(after)), reference.shape).numpy()
    expected = {
        "severity": np.abs(rho).max() / reference.max(),
        "severity_of_moduli": np.abs(moduli).max() / reference.max(),
        "artifact_norm": np.linalg.norm(rho) / np.linalg.norm(reference),
        "relative_error": np.linalg.norm(middle - reference) / np.linalg.norm(reference),
        "nmse": (np.linalg.norm(middle - reference) / np.linalg.norm(reference)) ** 2,
        "psnr": 10 * math.log10(1.3**2 / ((middle - reference) ** 2).mean()),
        "ssim": structural_similarity(middle, reference, data_range=1.3),
    }
    data = stored.measurement.kspace.to(torch.complex128).numpy()
    sight = np.sqrt((np.abs(maps) ** 2).sum(0))
    images = maps * np.divide(after, sight, out=np.zeros_like(after), where=seen)
    shifted = np.fft.ifftshift(images, axes=(-2, -1))
    fitted = np.fft.fftshift(np.fft.fft2(shifted, norm="ortho"), axes=(-2, -1))
    residual = (fitted * stored.operator.mask.numpy() - data - error.numpy()).ravel()
    residual = np.linalg.norm(residual) / (LEVEL * np.linalg.norm(data))
    assert row["output"] == output
    if output == "complex":
        assert row["data_residual"] == pytest.approx(residual, rel=1e-5)
    else:
        assert math.isnan(row["data_residual"])
    alphas = {
        "amplification": np.abs(rho).max() / r,
        "amplification_of_moduli": np.abs(moduli).max() / r,
        "amplification_to_truth": np.abs(middle - reference).max() / r,
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    found = {name: row[name] for name in alphas}
    if through_adjoint:
        assert found == pytest.approx(alphas, rel=1e-5)
    else:
        assert all(math.isnan(value) for value in found.values())
    assert (row["failed"], row["coils"], row["volume"], row["simulated"]) == ("", 3, "v", True)


def test_what_a_method_writes_where_no_coil_sees_is_no_artifact(tmp_path):
    stored = Stored(tmp_path, scan(), ZeroFilled())
    stored.root["output"] = "magnitude"
    clean = np.ones((24, 20), np.float32)
    after = clean.copy()
    after[2, 3], after[20, 15] = 100.0, 1.5
    unit = {"level": LEVEL, "factor": 1.0, "tuned": "clean", "kind": "global"}
    arrays = {"perturbation": np.zeros((3, 24, 20), np.complex64), "reconstruction": after}
    path = stored.folder / "reconstruction.h5"
    write_groups(path, {"": Group(attributes=stored.root), "clean": Group({"reconstruction": clean})})
    _, row = score_image(*stored.with_units({f"perturbed/all/{LEVEL:g}/1": Group(arrays, unit)}))
    peak = float(stored.measurement.reference.max())
    assert row["severity"] == row["severity_of_moduli"] == pytest.approx(0.5 / peak)


def test_a_scan_is_attacked_and_scored(tmp_path):
    stored = Stored(tmp_path, scan(), Tikhonov(weight=0.02))
    files = stored.attacked(object=PEAK | ASCENT | {"grid": 3, "region": "object"}, gaussian=GAUSSIAN)
    _, noise, peak = score_image(*files)
    assert (noise["kind"], peak["kind"], peak["region"]) == ("gaussian", "localized", "object")
    assert peak["severity"] > 1.5 * noise["severity"]
    assert peak["amplification"] > 0
    assert peak["patient"] == "0012"


def test_perturbations_of_other_methods_are_scored_apart(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    files = stored.attacked(peak=PEAK | ASCENT)
    _, first = score_image(*files)
    rival = spike(stored.operator, (8, 8), stored.subject.target.radius)
    carried = carried_unit(stored.subject, rival)
    carried.arrays["perturbation"] = rival.numpy()
    carried.attributes.update(kind="localized", region="image")
    own = read_group(files[2], f"perturbed/peak/{LEVEL:g}/1")
    own.attributes["weaker_than_transfer"] = "other"
    groups = {f"carried/other/peak/{LEVEL:g}/1": carried, f"perturbed/peak/{LEVEL:g}/1": own}
    stored.with_units(groups, "transfer.h5")
    _, again, second = score_image(*files, stored.folder / "transfer.h5")
    assert (first["weaker_than_transfer"], again["weaker_than_transfer"]) == ("", "other")
    assert again | {"weaker_than_transfer": ""} == pytest.approx(first, nan_ok=True)
    assert (second["made_for"], second["method"], second["kind"]) == ("other", "m", "localized")
    assert second["amplification"] == pytest.approx(1.0, rel=1e-5)
    assert second["severity"] == pytest.approx(carried.attributes["severity"], rel=1e-6)


def test_other_multiples_of_the_weight_have_their_own_clean_reconstruction(tmp_path):
    stored = Stored(tmp_path, phantom(), ZeroFilled())
    files = stored.attacked(gaussian=GAUSSIAN)
    unit = read_group(files[2], f"perturbed/gaussian/{LEVEL:g}/1")
    unit.attributes["factor"] = 2.0
    zero = Group({"reconstruction": np.zeros((SIZE, SIZE), np.complex64)}, {"weight": 0.5})
    groups = {f"perturbed/gaussian/{LEVEL:g}/2": unit, f"clean/{LEVEL:g}/2": zero}
    clean, row = score_image(*stored.with_units(groups))
    assert row["clean_error"] == pytest.approx(1.0)
    assert clean["relative_error"] < 0.9
    peak = np.abs(unit.arrays["reconstruction"]).max()
    assert row["severity"] == pytest.approx(float(peak))


def test_a_place_without_image_has_no_row(tmp_path):
    for name in ("measurement", "reconstruction", "attacks"):
        write_groups(tmp_path / f"{name}.h5", {"": Group(attributes={"missing": True})})
    files = [tmp_path / f"{name}.h5" for name in ("measurement", "reconstruction", "attacks")]
    assert score_image(*files) == []
    (tmp_path / "scores.csv").write_text(scores_csv([]))
    assert read_scores([tmp_path / "scores.csv"]).empty


def test_files_of_different_images_are_refused(tmp_path):
    first = Stored(tmp_path, phantom(), ZeroFilled())
    second = Stored(tmp_path, phantom(1), ZeroFilled(), position=1)
    with pytest.raises(ValueError, match=r"measurement\.h5 has position 0, and .* 1: expected files of one"):
        score_image(first.path, second.folder / "reconstruction.h5")
    other = Stored(tmp_path, phantom(), ZeroFilled(), name="other")
    attacks = other.attacked(gaussian=GAUSSIAN)[2]
    with pytest.raises(ValueError, match=r"attacks\.h5 has method 'other', and .* 'm'"):
        score_image(first.path, first.folder / "reconstruction.h5", attacks)
