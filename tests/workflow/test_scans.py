"""Raw data through the workflow: from a server, from files, from fastMRI's archive, to measurements."""

import json
import shutil
import subprocess
import tarfile

import h5py
import numpy as np
import pandas as pd
import pytest

from mrilib.data.volumes.simulated import simulate_volume
from tests.data.downloads.server import Reply, serving
from tests.workflow.runs import snakemake, tiny_scans, written

pytestmark = pytest.mark.slow
MEASUREMENT = "results/tiny/measurements/{}/columns/test/0.h5"
MASK = {"kind": "equispaced-fraction", "acceleration": 4, "center_fraction": 0.16}


def config(folder, datasets, images, **changes):
    """A config of raw data alone."""
    values = {"run": "tiny", "seed": 1, "downloads": str(folder / "downloads"), "datasets": datasets}
    return written(folder, values | {"images": images, "masks": {"columns": MASK}} | changes)


def ran(folder, config, *arguments):
    return snakemake(folder, *arguments, "--cores", "2", "--configfile", config)


def simulated(path, **changes):
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    images = [np.exp(-((y / 0.6) ** 2 + (x / (0.3 + 0.1 * n)) ** 2)) for n in range(3)]
    settings = {"coils": 4, "rows": 64, "columns": 64, "noise": 0.01, "seed": 1} | changes
    simulate_volume(images, path, **settings)


@pytest.mark.skipif(not shutil.which("ismrmrd_generate_cartesian_shepp_logan"), reason="no ismrmrd-tools")
def test_a_scan_goes_from_the_server_to_measurements(tmp_path):
    raw = tmp_path / "served.h5"
    generate = ["ismrmrd_generate_cartesian_shepp_logan", "-m", "256", "-c", "8", "-o", str(raw)]
    subprocess.run(generate, check=True, capture_output=True)
    with serving() as server:
        server.answer("/phantom", Reply(raw.read_bytes(), breaks_after=200_000), Reply(raw.read_bytes()))
        datasets = {
            "phantoms": {
                "kind": "stanford",
                "anatomy": "phantom",
                "url": f"http://127.0.0.1:{server.server_port}/",
                "volumes": ["phantom"],
            }
        }
        images = {"phantom": {"kind": "scans", "test": {"dataset": "phantoms", "count": 1}}}
        path = config(tmp_path, datasets, images)
        targets = ["results/tiny/tables/catalogue.csv", MEASUREMENT.format("phantom")]
        done = ran(tmp_path, path, *targets)
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/tiny"

    # Direct: one readout a line, oversampled twice along it, RSS of what is in the middle.
    with h5py.File(raw) as file:
        table = file["dataset/data"]
        kspace = np.zeros((8, 256, 512), complex)
        for head, samples in zip(table["head"], table["data"], strict=True):
            line = samples.view(np.complex64).reshape(8, 512)
            kspace[:, head["idx"]["kspace_encode_step_1"]] += line
    coils = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, axes=(1, 2)), norm="ortho"), axes=(1, 2))
    direct = np.sqrt((abs(coils[:, :, 128:384]) ** 2).sum(axis=0)).T  # rows are the readout
    with h5py.File(results / "volumes/phantoms/phantom.h5") as file:
        target, repetitions = file["reconstruction_rss"][0], len(file["reconstruction_rss"])
    assert repetitions == 1
    np.testing.assert_allclose(target, direct, atol=1e-5 * direct.max())

    catalogue = pd.read_csv(results / "tables/catalogue.csv")
    assert catalogue["accepted"].all()
    assert catalogue[["coils", "rows", "columns"]].to_numpy().tolist() == [[8, 256, 256]]
    with h5py.File(tmp_path / MEASUREMENT.format("phantom")) as file:
        maps, mask, sampled = (file[name][()] for name in ("coil_maps", "mask", "kspace"))
        assert file.attrs["acceleration"] == pytest.approx(256 / mask.sum())
    energy = (abs(maps) ** 2).sum(axis=0)
    inside = target > 0.1 * target.max()
    np.testing.assert_allclose(energy[inside & (energy > 0)], 1.0, atol=1e-4)
    assert (energy[inside] > 0).mean() > 0.9
    assert (sampled[:, :, ~mask] == 0).all()

    again = ran(tmp_path, path, *targets)
    assert "Nothing to be done" in again.stdout


def archive(path, volumes):
    with tarfile.open(path, "w:gz") as file:
        for volume in volumes:
            file.add(volume, f"multicoil_val/{volume.name}")


def test_archives_folders_and_files_meet_in_one_catalogue(tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    for name in ("file1", "file2", "file3"):
        simulated(made / f"{name}.h5", seed=int(name[-1]), patient=f"patient-{name[-1]}")
    tar = tmp_path / "val.tar.gz"
    archive(tar, [made / "file1.h5", made / "file2.h5"])
    folder = tmp_path / "own"
    folder.mkdir()
    shutil.move(made / "file3.h5", folder / "file3.h5")
    simulated(folder / "file4.h5", seed=4)
    with h5py.File(folder / "file4.h5", "r+") as file:
        del file["ismrmrd_header"]
    (tmp_path / "foreign.h5").write_bytes(b"no HDF5 at all" * 100)
    with serving() as server:
        url = server.answer("/val.tar.gz", Reply(tar.read_bytes()))
        (tmp_path / "mail.txt").write_text(f'curl -C - "{url}" --output val.tar.gz\n')
        datasets = {
            "archived": {
                "kind": "fastmri",
                "anatomy": "brain",
                "mail": "mail.txt",
                "archives": ["val.tar.gz"],
                "split": {"train": 0.5, "test": 0.5},
            },
            "on-disk": {"kind": "fastmri", "anatomy": "brain", "folders": [str(folder)]},
            "raw": {"kind": "raw", "anatomy": "brain", "volumes": {"foreign": {"file": "foreign.h5"}}},
        }
        counts = {"train": 2, "test": 1}
        selections = {
            part: {"dataset": "archived", "split": part, "count": count} for part, count in counts.items()
        }
        images = {
            "brain": {"kind": "scans", **selections},
            "own": {"kind": "scans", "test": {"dataset": "on-disk", "count": 4, "fewer": True}},
        }
        boxes = "file,slice,study_level,x,y,width,height,label\nfile3,1,No,20,10,12,8,Lesion\n"
        (tmp_path / "boxes.csv").write_text(boxes)
        annotations = {"plus": {"file": "boxes.csv", "dataset": "on-disk"}}
        path = config(tmp_path, datasets, images, annotations=annotations)
        done = ran(tmp_path, path)
    results = tmp_path / "results/tiny"
    assert done.returncode == 0, done.stdout
    assert url.partition("?")[2] not in done.stdout
    catalogue = pd.read_csv(results / "tables/catalogue.csv")
    reasons = catalogue[~catalogue["accepted"]].set_index("volume")["reason"]
    assert sorted(reasons.index) == ["file4", "foreign"]
    assert "ismrmrd_header" in reasons["file4"]
    assert "HDF5" in reasons["foreign"]
    assert (results / "volumes/on-disk/file3.h5").is_symlink()
    sets = {name: pd.read_csv(results / f"sets/brain/{name}.csv") for name in ("train", "test")}
    assert set(sets["train"]["patient"]) | set(sets["test"]["patient"]) == {"patient-1", "patient-2"}
    assert not set(sets["train"]["patient"]) & set(sets["test"]["patient"])
    with h5py.File(results / "measurements/own/columns/test/3.h5") as file:
        assert file.attrs["missing"]
    table = pd.read_csv(results / "annotations/plus.csv")
    assert table[["row", "column", "height", "width"]].to_numpy().tolist() == [[64 - 10 - 8, 20, 8, 12]]
    assert (results / "figures/annotations-plus.pdf").exists()

    # A new mail with fresh links fetches nothing again.
    (tmp_path / "mail.txt").write_text((tmp_path / "mail.txt").read_text() + "\n")
    planned = ran(tmp_path, path, "-n")
    assert "download_archive" not in planned.stdout

    strict = datasets | {"raw": datasets["raw"] | {"strict": True}}
    shutil.rmtree(results / "volumes/raw")
    stopped = ran(tmp_path, config(tmp_path, strict, images), "results/tiny/catalogue/raw.csv")
    assert stopped.returncode != 0
    assert "foreign.h5" in stopped.stdout


@pytest.mark.data
def test_a_raw_brain_of_bart_is_prepared(tmp_path, data_folder):
    file = str(data_folder / "brain_noise.cfl")
    datasets = {"brains": {"kind": "raw", "anatomy": "brain", "volumes": {"brain": {"file": file}}}}
    images = {"brain": {"kind": "scans", "test": {"dataset": "brains", "count": 1}}}
    done = ran(tmp_path, config(tmp_path, datasets, images), MEASUREMENT.format("brain"))
    assert done.returncode == 0, done.stdout
    results = tmp_path / "results/tiny"
    receipt = json.loads((results / "volumes/brains/brain.json").read_text())
    assert receipt["about"]["shape"] == [1, 8, 230, 180]
    dims = np.fromfile(file, np.complex64).reshape(8, 180, 230).transpose(0, 2, 1)
    shifted = np.fft.ifftshift(dims, axes=(1, 2))
    coils = np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(1, 2))
    direct = np.sqrt((abs(coils) ** 2).sum(axis=0))
    with h5py.File(results / "volumes/brains/brain.h5") as volume:
        np.testing.assert_allclose(
            volume["reconstruction_rss"][0], direct, rtol=1e-4, atol=1e-5 * direct.max()
        )
    with h5py.File(tmp_path / MEASUREMENT.format("brain")) as measured:
        assert measured["coil_maps"].shape == (8, 230, 180)
        target = measured["reference"][()] * measured.attrs["scale"]
    np.testing.assert_allclose(target, direct, rtol=1e-4, atol=1e-5 * direct.max())


@pytest.mark.slow
def test_scans_may_be_measured_under_lines(tmp_path):
    values = tiny_scans(["l1", "zero-filled"])
    values["masks"] = {"lines": {"kind": "radial", "lines": 30}}
    values["images"]["abdomen"]["masks"] = ["lines"]
    target = "results/tiny/tables/quality.csv"
    done = snakemake(tmp_path, target, "--cores", "1", "--configfile", written(tmp_path, values))
    assert done.returncode == 0, done.stdout
    table = pd.read_csv(tmp_path / target)
    ssim = table[table["quantity"] == "ssim"].set_index("method")["value"]
    assert 0.5 < ssim["zero-filled"] < ssim["l1"] <= 1
