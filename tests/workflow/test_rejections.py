"""One volume that cannot be used is listed with its reason, and the run goes on."""

import errno
import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mrilib.data.catalogue import read_catalogue
from mrilib.data.downloads import resumable
from mrilib.data.downloads.failures import DownloadError
from mrilib.data.volumes.simulated import simulate_volume
from tests.data.downloads.server import Reply, serving
from tests.data.volumes.raw_files import cartesian_scan, noise_kspace, write_cfl
from tests.workflow.runs import snakemake, written
from workflow_scripts.stages import convert, download_volume, link_volumes, list_volumes, simulate

BART = {"class": "mrilib.data.volumes.cfl:Bart", "arguments": {"rows": 1}}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A volume of fastMRI's schema."""
    path = tmp_path_factory.mktemp("good") / "volume.h5"
    y, x = np.mgrid[-1:1:24j, -1:1:24j]
    image = np.exp(-((y / 0.6) ** 2 + (x / 0.4) ** 2))
    simulate_volume([image], path, coils=3, rows=24, columns=24, noise=0.01, seed=1)
    return path


@pytest.fixture
def linked(tmp_path, monkeypatch):
    """`linked(**params)`: the receipt of the volumes in the folder `own data`, as a run has it."""
    monkeypatch.chdir(tmp_path)

    def link(**params):
        given = {"folders": ["own data"], "volumes": None} | params
        link_volumes.main({}, {"receipt": "results/r/volumes/d.json"}, given)
        return json.loads((tmp_path / "results/r/volumes/d.json").read_text())

    return link


def listed(folder, *receipts, strict=False):
    """The catalogue of what the receipts say."""
    params = {"dataset": "d", "anatomy": "knee", "strict": strict, "code": "code", "coil_compression": None}
    params |= {"units": folder / "units", "index": folder / "index.txt"}
    list_volumes.main({"receipts": receipts}, {"catalogue": folder / "catalogue.csv"}, params)
    return read_catalogue(folder / "catalogue.csv")


def test_entries_of_a_folder_that_are_no_volumes_are_rows_of_the_catalogue(tmp_path, linked, good):
    folder = tmp_path / "own data"
    folder.mkdir()
    for name in ("it's one.h5", "ünïcode.h5", "other.h5", "capitals.H5"):
        shutil.copy(good, folder / name)
    (folder / "dangling.h5").symlink_to("nowhere")
    (folder / "truncated.h5").write_bytes(good.read_bytes()[:2000])
    found = linked()
    rejected = {each["volume"]: each["rejected"] for each in found if "rejected" in each}
    assert sorted(rejected) == ["capitals.H5", "dangling"]
    assert all(reason.endswith("run again with --forcerun link_volumes") for reason in rejected.values())
    # One goes between two jobs.
    (folder / "other.h5").unlink()
    catalogue = listed(tmp_path, "results/r/volumes/d.json").set_index("volume")
    assert sorted(catalogue.index[catalogue["accepted"]]) == ["it's one"]
    reasons = catalogue["reason"][~catalogue["accepted"]]
    assert sorted(reasons.index) == ["capitals.H5", "dangling", "other", "truncated", "ünïcode"]
    assert "got slice 0 of it's one again" in reasons["ünïcode"]
    assert "got a link to nowhere, where nothing is" in reasons["dangling"]
    assert "expected the ending .h5, got .H5" in reasons["capitals.H5"]
    assert "other.h5, where nothing is; put it back and run again with --forcerun" in reasons["other"]
    with pytest.raises(ValueError, match=r"other: .*expected the file of the volume.*\(strict: true\)"):
        listed(tmp_path, "results/r/volumes/d.json", strict=True)


def test_volumes_that_are_wanted_may_be_rejected_and_may_not_be_missing(tmp_path, linked, good):
    folder = tmp_path / "own data"
    folder.mkdir()
    for name in ("a.v2.h5", "b.h5", "c.HDF5"):
        shutil.copy(good, folder / name)
    (folder / "d.h5").symlink_to("nowhere")
    (folder / "e.h5").symlink_to("nowhere")
    found = linked(volumes=["a.v2", "c", "d.h5"])
    assert {each["volume"]: "rejected" in each for each in found} == {
        "a.v2": False,
        "c.HDF5": True,
        "d": True,
    }
    with pytest.raises(ValueError, match="volumes a, f are not in own data"):
        linked(volumes=["a", "b", "f"])


def test_folders_of_an_archive_without_volumes_are_not_looked_at(tmp_path, linked, good):
    folder = tmp_path / "own data/multicoil_val"
    folder.mkdir(parents=True)
    shutil.copy(good, folder / "a.h5")
    (tmp_path / "listing.txt").write_text(f"{tmp_path}/own data/LICENSE\n{folder}/a.h5\n")
    inputs, receipt = {"listings": [tmp_path / "listing.txt"]}, tmp_path / "results/r/volumes/d.json"
    link_volumes.main(inputs, {"receipt": receipt}, {"folders": [], "volumes": None})
    assert [each["volume"] for each in json.loads(receipt.read_text())] == ["a"]


@pytest.fixture
def converted(tmp_path, monkeypatch):
    """`converted(inputs, **params)`: the receipt of a conversion."""
    monkeypatch.chdir(tmp_path)
    receipt = tmp_path / "results/r/volumes/d/one.json"

    def convert_one(inputs, **params):
        receipt.parent.mkdir(parents=True, exist_ok=True)
        convert.main(inputs, {"receipt": str(receipt)}, {"reader": BART, "strict": False} | params)
        return json.loads(receipt.read_text())

    return convert_one


@pytest.mark.parametrize("gone", [".hdr", ".cfl"])
def test_a_pair_of_bart_that_is_not_whole_is_rejected(tmp_path, converted, gone):
    write_cfl(tmp_path / "scan", noise_kspace(10, 12, 2, 3))
    assert converted({"file": "scan.cfl"})["about"]["shape"] == [2, 3, 12, 10]
    (tmp_path / f"scan{gone}").unlink()
    named = "scan.cfl" if gone == ".hdr" else "scan.hdr"
    found = converted({"file": named})
    assert f"scan{gone}: expected a pair of .cfl and .hdr, got one; copy both" in found["rejected"]
    again = f"then run again with --forcerun {tmp_path}/results/r/volumes/d/one.json"
    assert found["rejected"].endswith(again)
    assert not (tmp_path / "results/r/volumes/d/one.h5").exists()
    assert not listed(tmp_path, tmp_path / "results/r/volumes/d/one.json")["accepted"].any()
    with pytest.raises(ValueError, match=rf"one: .*scan{gone}: expected a pair.*\(strict: true\)"):
        converted({"file": named}, strict=True)


def test_a_second_file_without_the_right_to_read_it_is_rejected(tmp_path, converted, monkeypatch):
    write_cfl(tmp_path / "scan", noise_kspace(10, 12, 2, 3))

    opening = Path.open

    def refusing(self, *arguments, **options):
        if self.name == "scan.hdr":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opening(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refusing)
    assert "Permission denied: 'scan.hdr'" in converted({"file": "scan.cfl"})["rejected"]


def test_a_result_that_cannot_be_written_is_no_fault_of_the_volume(tmp_path, converted, monkeypatch):
    write_cfl(tmp_path / "scan", noise_kspace(10, 12, 2, 3))
    volume = tmp_path / "results/r/volumes/d/one.h5"

    def refusing(self, source, destination):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(destination))

    monkeypatch.setattr("mrilib.data.volumes.cfl.Bart.convert", refusing)
    with pytest.raises(PermissionError, match=str(volume)):
        converted({"file": "scan.cfl"})


def test_a_raw_file_that_is_none_is_rejected(tmp_path, converted):
    (tmp_path / "folder.cfl").mkdir()
    (tmp_path / "folder.h5").mkdir()
    (tmp_path / "dangling.cfl").symlink_to("nowhere")
    ismrmrd = {"class": "mrilib.data.volumes.ismrmrd:Ismrmrd", "arguments": {}}
    assert "folder.cfl: expected a pair" in converted({"file": "folder.cfl"})["rejected"]
    assert "got a folder or a device" in converted({"file": "folder.h5"}, reader=ismrmrd)["rejected"]
    assert "got a link to nowhere" in converted({"file": "dangling.cfl"})["rejected"]
    with pytest.raises(ValueError, match="got a link to nowhere"):
        converted({"file": "dangling.cfl"}, strict=True)


def test_what_was_said_of_a_download_is_said_of_the_volume(tmp_path, converted):
    (tmp_path / "one.json").write_text(json.dumps({"volume": "one", "rejected": "the server has none"}))
    assert converted({"fetched": "one.json"})["rejected"] == "the server has none"
    with pytest.raises(ValueError, match="one: the server has none"):
        converted({"fetched": "one.json"}, strict=True)
    (tmp_path / "one.json").write_text(json.dumps({"volume": "one", "path": "gone.h5"}))
    with pytest.raises(
        FileNotFoundError, match=r"gone\.h5: .*got nothing; run again with --forcerun one\.json"
    ):
        converted({"fetched": "one.json"})


def test_an_image_that_cannot_be_read_is_a_rejected_volume(tmp_path):
    (tmp_path / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    receipt = tmp_path / "volumes/d/one.json"
    receipt.parent.mkdir(parents=True)
    settings = {"coils": 2, "rows": 8, "columns": 8, "noise": 0.0}
    drawn = {"file": str(tmp_path / "image.png"), "slices": None, "draws": 2}
    params = {"volume": drawn, "settings": settings, "seed": 1, "name": ["d", "one"], "strict": False}
    simulate.main({}, {"receipt": str(receipt)}, params)
    assert "image.png: expected a whole picture file" in json.loads(receipt.read_text())["rejected"]
    assert not listed(tmp_path, receipt)["accepted"].any()
    with pytest.raises(ValueError, match="expected a whole picture file"):
        simulate.main({}, {"receipt": str(receipt)}, params | {"strict": True})
    drawn["file"] = "matplotlib:s1045.ima.gz"
    simulate.main({}, {"receipt": str(receipt)}, params)
    assert len(listed(tmp_path, receipt)) == 2


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """`fetched(server, *replies)`: the receipt of a download, without pauses."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    patient = functools.partial(resumable.download, attempts=2, pause=lambda seconds: None)
    monkeypatch.setattr(resumable, "download", patient)
    receipt = tmp_path / "downloads/stanford/one.json"

    def fetch(server, *replies, sha256=None):
        receipt.unlink(missing_ok=True)
        params = {"url": server.answer("/one", *replies), "sha256": sha256}
        download_volume.main({}, {"receipt": str(receipt)}, params)
        return json.loads(receipt.read_text())

    return fetch


def test_a_file_that_is_no_good_at_its_source_is_rejected_and_fetched_again_when_asked(
    tmp_path, fetched, good
):
    body, damaged = good.read_bytes(), good.read_bytes()[:3000]
    with serving() as server:
        for replies, told, options in (
            ([Reply(status=404)], "got 404; the server knows no such file", {}),
            ([Reply(status=410)], "got 410", {}),
            ([Reply(damaged)], "expected a whole HDF5 file, got a truncated or damaged one", {}),
            ([Reply(bytes(3000))], "expected an HDF5 file, got bytes", {}),
            ([Reply(body)], f"expected SHA-256 {'0' * 64}", {"sha256": "0" * 64}),
        ):
            found = fetched(server, *replies, **options)
            assert told in found["rejected"]
            assert "path" not in found
            again = f"run again with --forcerun {tmp_path}/downloads/stanford/one.json"
            assert found["rejected"].endswith(again)
            assert os.listdir(tmp_path / "downloads/stanford") == ["one.json"]
        found = fetched(server, Reply(body))
    assert found == {"volume": "one", "path": f"{tmp_path}/downloads/stanford/one.h5"}
    assert (tmp_path / "downloads/stanford/one.h5").read_bytes() == body


def test_a_fault_of_the_network_ends_the_job(tmp_path, fetched, good):
    body = good.read_bytes()
    with serving() as server:
        for reply in (
            Reply(status=503),
            Reply(body, breaks_after=0),
            Reply(status=403),
            Reply(b"<html>under repair</html>"),
            Reply(body[:3000], length=False),
        ):
            with pytest.raises(DownloadError):
                fetched(server, reply)
            assert not (tmp_path / "downloads/stanford/one.json").exists()


def test_a_fetched_file_that_is_there_is_checked_and_kept(tmp_path, fetched, good):
    file = tmp_path / "downloads/stanford/one.h5"
    file.parent.mkdir(parents=True)
    shutil.copy(good, file)
    with serving() as server:
        assert fetched(server, Reply(status=404))["path"] == str(file)
        file.write_bytes(good.read_bytes()[:3000])
        assert f"{file}: expected a whole HDF5 file" in fetched(server, Reply(good.read_bytes()))["rejected"]
        assert server.requests == []


RAW = {"kind": "raw", "anatomy": "brain"}
CATALOGUES = ["results/tiny/tables/catalogue.csv"]


def config(folder, datasets):
    values = {"run": "tiny", "seed": 1, "downloads": f"{folder}/my downloads", "datasets": datasets}
    return written(folder, values)


@pytest.mark.slow
def test_a_run_lists_what_cannot_be_used_and_takes_it_when_it_is_mended(tmp_path, good):
    own = tmp_path / "it's mine"
    own.mkdir()
    shutil.copy(good, own / "knee 1.h5")
    (own / "dangling.h5").symlink_to("nowhere")
    write_cfl(own / "scan", noise_kspace(10, 12, 2, 3))
    header = (own / "scan.hdr").read_text()
    (own / "scan.hdr").unlink()
    cartesian_scan(noise_kspace(2, 1, 10, 3, 12)).write(tmp_path / "served.h5")
    body = (tmp_path / "served.h5").read_bytes()
    with serving() as server:
        for volume, reply in {
            "whole": Reply(body),
            "damaged": Reply(body[:4000]),
            "lost": Reply(status=404),
        }.items():
            server.answer(f"/{volume}", reply)
        stanford = {"kind": "stanford", "anatomy": "knee", "volumes": ["whole", "damaged", "lost"]}
        stanford["url"] = f"http://127.0.0.1:{server.server_port}/"
        datasets = {
            "linked": {"kind": "fastmri", "anatomy": "knee", "folders": [str(own)]},
            "raw": RAW | {"volumes": {"scan": {"file": f"{own}/scan.cfl", "rows": 1}}},
            "stanford": stanford,
        }
        run = ["--cores", "2", "--configfile", config(tmp_path, datasets)]
        done = snakemake(tmp_path, *CATALOGUES, *run)
        assert done.returncode == 0, done.stdout
        catalogue = pd.read_csv(tmp_path / CATALOGUES[0]).set_index("volume")
        assert set(catalogue.index[catalogue["accepted"]]) == {"knee 1", "whole"}
        reasons = catalogue["reason"][~catalogue["accepted"]]
        assert set(reasons.index) == {"dangling", "scan", "damaged", "lost"}
        assert (
            "copy both; then run again with --forcerun results/tiny/volumes/raw/scan.json" in reasons["scan"]
        )
        assert "got 404" in reasons["lost"]
        receipt = tmp_path / "my downloads/stanford/damaged.json"
        assert f"run again with --forcerun '{receipt}'" in reasons["damaged"]

        # What is to be done stands in the reasons.
        assert "Nothing to be done" in snakemake(tmp_path, *CATALOGUES, *run).stdout
        cartesian_scan(noise_kspace(2, 1, 10, 3, 12, seed=1)).write(tmp_path / "mended.h5")
        server.answer("/damaged", Reply((tmp_path / "mended.h5").read_bytes()))
        (own / "scan.hdr").write_text(header)
        (own / "dangling.h5").unlink()
        simulate_volume(
            [np.eye(24) + 1], own / "dangling.h5", coils=3, rows=24, columns=24, noise=0.01, seed=2
        )
        again = [str(receipt), "results/tiny/volumes/raw/scan.json"]
        requests = len(server.requests)
        done = snakemake(tmp_path, *CATALOGUES, *run, "--forcerun", "link_volumes", *again)
        assert done.returncode == 0, done.stdout
        catalogue = pd.read_csv(tmp_path / CATALOGUES[0]).set_index("volume")
        assert set(catalogue.index[~catalogue["accepted"]]) == {"lost"}
        assert [path.partition("?")[0] for path, _ in server.requests[requests:]] == ["/damaged"]

        strict = datasets | {"stanford": stanford | {"strict": True}}
        run[-1] = config(tmp_path, strict)
        done = snakemake(tmp_path, "results/tiny/catalogue/stanford.csv", *run)
        assert done.returncode != 0
        assert "lost: download" in done.stdout
        assert "(strict: true)" in done.stdout
