"""Volumes that went wrong, through a whole run: what is listed, measured, trained on and reported."""

import copy

import h5py
import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import read_catalogue
from tests.data.volumes.scans import rss_of, scan_kspace, write_scan
from tests.workflow.runs import COLUMNS, SCAN_METHODS, snakemake, written

pytestmark = pytest.mark.slow


def odd_volumes(folder):
    """One volume for each kind of report."""
    kspace = scan_kspace(2)
    write_scan(folder / "sound.h5", scan_kspace(2, seed=9))
    dead = kspace.copy()
    dead[1, 2] = 0
    write_scan(folder / "dead-coil.h5", dead)
    write_scan(folder / "centre-off.h5", np.roll(scan_kspace(2, seed=1), 5, 3))
    padded = scan_kspace(2, seed=2)
    padded[..., :10] = padded[..., 54:] = 0
    write_scan(folder / "padded.h5", padded)
    thinned = kspace.copy()
    thinned[..., 3:24:3] = 0
    write_scan(folder / "thinned.h5", thinned)
    uneven = scan_kspace(3, seed=3) * np.array([1.0, 4.0, 0.5], np.float32)[:, None, None, None]
    write_scan(folder / "no-maximum.h5", uneven, attributes={"max": None, "norm": None})
    units = scan_kspace(2, seed=4)
    write_scan(folder / "other-units.h5", (1e-6 * units).astype(np.complex64), target=rss_of(units))
    (folder / "dangling.h5").symlink_to(folder / "nowhere.h5")
    (folder / "page.h5").write_text("<html>403")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run over such volumes; one of its training volumes is a test volume under another name."""
    folder = tmp_path_factory.mktemp("odd")
    for name in ("train", "validation", "test"):
        (folder / name).mkdir()
    odd_volumes(folder / "test")
    for seed in (20, 21):
        write_scan(folder / f"train/own-{seed}.h5", scan_kspace(2, seed=seed))
    write_scan(folder / "train/renamed.h5", scan_kspace(2, seed=9), attributes={"patient_id": "0012"})
    write_scan(
        folder / "train/relative.h5", scan_kspace(2, seed=22), attributes={"patient_id": "subject-padded"}
    )
    write_scan(folder / "validation/other.h5", scan_kspace(2, seed=30))
    parts = {"train": 4, "validation": 2, "test": 13}
    methods = {name: copy.deepcopy(SCAN_METHODS[name]) for name in ("varnet", "tv", "zero-filled")}
    values = {
        "run": "tiny",
        "seed": 1,
        "datasets": {
            name: {"kind": "fastmri", "anatomy": "ellipses", "folders": [str(folder / name)]}
            for name in parts
        },
        "images": {
            "scans": {"kind": "scans"}
            | {name: {"dataset": name, "count": count} for name, count in parts.items()}
        },
        "masks": {"columns": COLUMNS},
        "methods": methods,
    }
    done = snakemake(folder, "--cores", "2", "--configfile", written(folder, values))
    assert done.returncode == 0, done.stdout
    return folder / "results/tiny"


def test_the_catalogue_says_what_was_found(run):
    catalogue = read_catalogue(run / "tables/catalogue.csv")
    volumes = catalogue.drop_duplicates(["dataset", "volume"]).set_index("volume")
    rejected = volumes[~volumes["accepted"]]
    assert sorted(rejected.index) == ["dangling", "page", "thinned"]
    assert "7 columns of zeros between others" in rejected["reason"]["thinned"]
    assert "a page of HTML or XML" in rejected["reason"]["page"]
    assert "link" in rejected["reason"]["dangling"]
    notes = volumes["notes"]
    assert notes["sound"] == ""
    assert notes["dead-coil"] == "coil 2 is zero in slice 1: left out there"
    assert notes["centre-off"] == "centre at column 37 instead of 32: moved"
    assert "columns acquired: 10 to 53 of 0 to 63" in notes["padded"]
    assert notes["no-maximum"] == "no attribute max: computed; no attribute norm: computed"
    assert "1e+06 times the RSS of kspace: computed anew" in notes["other-units"]
    table = (run / "tables/catalogue.md").read_text()
    assert "coil 2 is zero in slice 1" in table


def test_nothing_is_trained_on_what_is_tested(run):
    chosen = read_catalogue(run / "sets/scans/train.csv")
    assert set(chosen["volume"]) == {"own-20", "own-21"}
    log = (run / "logs/sets/scans/train.log").read_text()
    assert "renamed: left out, slice 0 is in test" in log
    assert "relative: left out, patient subject-padded is in test" in log


def test_every_slice_is_measured_as_what_it_is(run):
    positions = read_catalogue(run / "sets/scans/test.csv").set_index("position")
    assert len(positions) == 13
    seen = set()
    for position, row in positions.iterrows():
        with h5py.File(run / f"measurements/scans/columns/test/{position}.h5") as file:
            kspace, mask = file["kspace"][()], file["mask"][()]
            about = dict(file.attrs)
        assert kspace.shape[0] == row["used_coils"]
        energy = (abs(kspace) ** 2).sum(axis=(0, 1))
        assert abs(int(np.argmax(energy)) - 32) <= 1
        if row["volume"] == "padded":
            assert not mask[:10].any()
            assert not mask[54:].any()
            assert about["acceleration"] == pytest.approx(44 / mask.sum())
        assert about["maximum"] * about["scale"] == pytest.approx(row["maximum"], rel=1e-5)
        seen.add(row["volume"])
    assert seen == {"sound", "dead-coil", "centre-off", "padded", "no-maximum", "other-units"}


def test_every_method_has_finite_scores(run):
    table = pd.read_csv(run / "tables/quality.csv")
    ssim = table[table["quantity"] == "ssim"].set_index("method")
    assert (ssim["n"] == 13).all()
    assert 0.3 < ssim["value"]["zero-filled"] < ssim["value"]["tv"] < 1
    assert 0.3 < ssim["value"]["varnet"] < 1
    history = pd.read_csv(next((run / "training").rglob("*.csv")))
    assert np.isfinite(history[["loss", "validation_error"]]).all().all()
