"""Simulated volumes: their image is the one they were made from, their noise has the stated level."""

import h5py
import numpy as np
import pytest

from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.images.files import read_image
from mrilib.data.volumes.centered_fft import centered_ifft
from mrilib.data.volumes.fastmri import check_volume, read_slice
from mrilib.data.volumes.simulated import simulate_volume, simulated_coil_maps, smooth_phase

SIZES = {"coils": 4, "rows": 40, "columns": 36}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return ellipse_phantoms(3, size=32, seed=1).numpy().clip(0)


def stored(path) -> tuple[np.ndarray, np.ndarray]:
    check_volume(path)
    with h5py.File(path) as file:
        return file["kspace"][()], file["reconstruction_rss"][()]


def test_without_noise_the_rss_image_is_the_image_upside_down(tmp_path, images):
    header = simulate_volume(list(images), tmp_path / "a.h5", **SIZES, noise=0.0, seed=1)
    assert (header.shape, header.target_shape) == ((3, 4, 40, 36), (3, 40, 36))
    _, target = stored(tmp_path / "a.h5")
    expected = np.zeros_like(target)
    expected[:, 4:36, 2:34] = images
    np.testing.assert_allclose(target, expected[:, ::-1], atol=1e-5)


def test_larger_images_are_cropped_about_their_middle(tmp_path):
    image = np.arange(1.0, 50 * 41 + 1).reshape(50, 41)
    simulate_volume([image], tmp_path / "a.h5", coils=2, rows=20, columns=16, noise=0.0, seed=1)
    _, target = stored(tmp_path / "a.h5")
    np.testing.assert_allclose(target[0], image[15:35, 12:28][::-1], rtol=1e-4)


def test_shrunk_images_are_means_of_blocks(tmp_path):
    image = np.arange(1.0, 40 * 32 + 1).reshape(40, 32)
    simulate_volume([image], tmp_path / "a.h5", coils=2, rows=20, columns=16, noise=0.0, seed=1, shrink=2)
    _, target = stored(tmp_path / "a.h5")
    np.testing.assert_allclose(target[0], image.reshape(20, 2, 16, 2).mean((1, 3))[::-1], rtol=1e-4)


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_noise_is_white_and_has_the_stated_level(tmp_path, images, noise):
    for name, level in (("clean", 0.0), ("noisy", noise)):
        simulate_volume(list(images), tmp_path / f"{name}.h5", **SIZES, noise=level, seed=1)
    clean, noisy = (stored(tmp_path / f"{name}.h5")[0] for name in ("clean", "noisy"))
    errors = noisy - clean
    # 17280 samples: 3 % is four standard deviations
    assert np.linalg.norm(errors) / np.linalg.norm(clean) == pytest.approx(noise, rel=0.03)
    for part in (*errors.transpose(1, 0, 2, 3), errors.real * 2**0.5, errors.imag * 2**0.5):
        assert np.sqrt((abs(part) ** 2).mean()) == pytest.approx(errors.std(), rel=0.06)
    assert abs((errors[0].conj() * errors[1]).mean()) < 0.1 * errors.std() ** 2


def test_equal_seeds_make_equal_files(tmp_path, images):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        (tmp_path / name).mkdir()
        simulate_volume(list(images), tmp_path / name / "v.h5", **SIZES, noise=0.1, seed=seed)
    first, again, other = ((tmp_path / name / "v.h5").read_bytes() for name in "abc")
    assert first == again
    assert first != other


def test_slices_share_coil_maps_and_not_noise(tmp_path, images):
    simulate_volume([images[0], images[0]], tmp_path / "a.h5", **SIZES, noise=0.0, seed=1)
    kspace, _ = stored(tmp_path / "a.h5")
    np.testing.assert_array_equal(kspace[0], kspace[1])
    simulate_volume([images[0], images[0]], tmp_path / "a.h5", **SIZES, noise=0.1, seed=1)
    kspace, _ = stored(tmp_path / "a.h5")
    assert (kspace[0] != kspace[1]).all()


def test_images_have_a_smooth_phase(tmp_path, images):
    simulate_volume(list(images), tmp_path / "a.h5", **SIZES, noise=0.0, seed=3)
    coil_images = centered_ifft(stored(tmp_path / "a.h5")[0][0], (1, 2))
    seen = abs(coil_images[:, :, 1:] * coil_images[:, :, :-1]) > 1e-3
    steps = np.angle(coil_images[:, :, 1:] * coil_images[:, :, :-1].conj())[seen]
    assert abs(steps).max() < 0.6
    assert abs(np.angle(coil_images[abs(coil_images) > 1e-2])).max() > 0.5


@pytest.mark.parametrize(("coils", "rows", "columns"), [(1, 8, 8), (8, 33, 20)])
def test_coil_maps_have_unit_energy_and_differ(coils, rows, columns):
    maps = simulated_coil_maps(coils, rows, columns, np.random.default_rng(1))
    np.testing.assert_allclose((abs(maps) ** 2).sum(axis=0), 1, rtol=1e-12)
    if coils > 1:
        gram = abs(np.einsum("cyx,dyx->cd", maps, maps.conj())) / np.sqrt(
            np.outer(*[(abs(maps) ** 2).sum(axis=(1, 2))] * 2)
        )
        assert np.max(gram - np.eye(coils)) < 0.95


def test_the_phase_is_a_polynomial_of_second_degree():
    phase = smooth_phase(12, 10, np.random.default_rng(1), 1.0)
    np.testing.assert_allclose(np.diff(phase, n=3, axis=0), 0, atol=1e-12)
    assert abs(phase).max() <= 6


def test_everything_says_that_it_is_simulated(tmp_path):
    image = read_image("matplotlib:s1045.ima.gz", size=64)
    about = {"acquisition": "T1", "source": "s1045"}
    header = simulate_volume([image], tmp_path / "head.h5", **SIZES, noise=0.01, seed=5, **about)
    assert header.simulated
    assert (header.acquisition, header.patient) == ("simulated T1", "head")
    assert header.source == "simulated from s1045, relative noise 0.01, seed 5"
    assert read_slice(tmp_path / "head.h5", 0).kspace.shape == (4, 40, 36)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"images": []}, "at least one image"),
        ({"images": [np.zeros((8, 8))]}, "image 0: expected finite magnitudes, not all zero"),
        ({"images": [np.ones((8, 8)), -np.ones((8, 8))]}, "image 1: expected finite magnitudes"),
        ({"images": [np.full((8, 8), np.nan)]}, "finite magnitudes"),
        ({"images": [np.pad(np.zeros((90, 90)), 1, constant_values=1)]}, "something within 40 × 36"),
        ({"coils": 0}, "coils >= 1"),
        ({"noise": -0.1}, "noise >= 0"),
        ({"noise": float("inf")}, "noise >= 0"),
        ({"rows": 1}, "rows and columns >= 2"),
    ],
)
def test_what_cannot_be_simulated_is_refused(tmp_path, changes, problem):
    settings = {"images": [np.ones((8, 8))], **SIZES, "noise": 0.0, "seed": 1} | changes
    with pytest.raises(ValueError, match=problem):
        simulate_volume(settings.pop("images"), tmp_path / "a.h5", **settings)
    assert list(tmp_path.iterdir()) == []
