import numpy as np
import pytest

from mrilib.experiments.pictures import attack_picture
from mrilib.store.arrays import Group, write_groups


def unit(height, **attributes):
    """A perturbation of one pixel, and a reconstruction that raises it to `height`."""
    reconstruction = np.zeros((8, 8), np.complex64)
    reconstruction[2, 3] = height
    perturbation = np.zeros((8, 8), np.complex64)
    perturbation[4, 4] = 1.0
    return Group({"perturbation": perturbation, "reconstruction": reconstruction}, attributes)


@pytest.fixture
def files(tmp_path):
    clean = Group({"reconstruction": np.zeros((8, 8), np.complex64)})
    image = Group({"image": np.zeros((8, 8), np.float32)})
    place = {"row": 2, "column": 3}
    write_groups(
        tmp_path / "own.h5",
        {
            "": image,
            "clean/0.04/1": clean,
            "perturbed/peak/0.04/1": unit(1.0, **place),
            "perturbed/disk/0.04/1": unit(4.0, **place),
            "perturbed/peak/0.08/1": Group(attributes={"failed": "no convergence"}),
        },
    )
    groups = {"perturbed/peak/0.04/1": unit(2.0, **place), "carried/tv/peak/0.04/1": unit(3.0)}
    write_groups(tmp_path / "transfer.h5", groups)
    return tmp_path / "own.h5", tmp_path / "transfer.h5"


def test_the_search_that_counts_is_shown(files):
    own, transfer = files
    assert attack_picture(own, "peak", 0.04).severity == 1.0
    assert attack_picture(own, "peak", 0.04, transfer=transfer).severity == 2.0
    assert attack_picture(own, "disk", 0.04, transfer=transfer).severity == 4.0
    carried = attack_picture(own, "peak", 0.04, transfer=transfer, made_for="tv")
    # ‖r‖∞ = 1/8 for one entry of k-space on 8×8 pixels
    assert (carried.severity, carried.alpha, carried.location) == (3.0, pytest.approx(24.0), (-1, -1))


def test_a_failed_unit_has_no_picture(files):
    assert attack_picture(files[0], "peak", 0.08) is None
