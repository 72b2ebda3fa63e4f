"""The README's own reader: written as it stands there, its files become volumes of the catalogue."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from tests.data.volumes.raw_files import cartesian_scan, noise_kspace, write_cfl
from tests.workflow.runs import ROOT, copied, jobs_to_run, snakemake, written

TABLE = "results/tiny/tables/catalogue.csv"
README = (ROOT / "README.md").read_text(encoding="utf-8")
READER = {"class": "mypackage.readers:Npy", "arguments": {"field_strength": 3.0}}


@pytest.fixture
def folder(tmp_path):
    """A file of each format, one of them damaged, and the package with the reader."""
    (module,) = re.findall(r"```python\n# mypackage/readers.py\n(.*?)```", README, re.DOTALL)
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "readers.py").write_text(module)
    np.save(tmp_path / "one.npy", noise_kspace(2, 3, 12, 10))
    np.save(tmp_path / "flat.npy", noise_kspace(12, 10))
    cartesian_scan(noise_kspace(2, 1, 10, 3, 12)).write(tmp_path / "scan.h5")
    write_cfl(tmp_path / "scan", noise_kspace(10, 12, 2, 3))
    return tmp_path


def config(folder, **changes):
    volumes = {
        "one": {"file": "one.npy", "reader": READER},
        "flat": {"file": "flat.npy", "reader": READER},
        "ismrmrd": {"file": "scan.h5"},
        "bart": {"file": "scan.cfl", "rows": 1},
    }
    dataset = {"kind": "raw", "anatomy": "brain", "volumes": volumes | changes}
    return written(folder, {"run": "tiny", "seed": 1, "datasets": {"own": dataset}})


def run(folder, *arguments, checkout=ROOT, **changes):
    chosen = [*arguments, "--configfile", config(folder, **changes)]
    return snakemake(folder, TABLE, *chosen, checkout=checkout, paths=[folder])


def converted(folder, checkout, **changes):
    """Volumes that would be converted."""
    jobs = jobs_to_run(folder, config(folder, **changes), [TABLE], checkout=checkout, paths=[folder])
    return {wildcards["volume"] for rule, wildcards in jobs if rule == "convert_volume"}


@pytest.mark.slow
def test_the_readmes_reader_makes_volumes_and_edits_reach_the_files_of_their_format(folder, tmp_path_factory):
    checkout = copied(tmp_path_factory.mktemp("checkout"))
    result = run(folder, "--cores", "2", checkout=checkout)
    assert result.returncode == 0, result.stdout
    catalogue = pd.read_csv(folder / TABLE)
    accepted = catalogue[catalogue["accepted"]].set_index("volume")
    assert sorted(set(accepted.index)) == ["bart", "ismrmrd", "one"]
    assert set(accepted[["coils", "rows", "columns"]].itertuples(index=False, name=None)) == {(3, 12, 10)}
    assert set(accepted.loc["one", "field_strength"]) == {3.0}
    (reason,) = catalogue.loc[catalogue["volume"] == "flat", "reason"]
    assert "flat.npy: array: expected 4 dimensions, got 2" in reason
    receipt = json.loads((folder / "results/tiny/volumes/own/one.json").read_text())
    assert receipt["about"] == "{'slices': 2}"

    def planned_after(file, old, new):
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        found = converted(folder, checkout)
        file.write_text(text)
        return found

    volumes, readers = checkout / "mrilib/data/volumes", folder / "mypackage/readers.py"
    assert planned_after(readers, "  # what the receipt says", "  # told") == set()
    assert planned_after(readers, "!= 4", "<= 3") == {"one", "flat"}
    bart = planned_after(volumes / "cfl.py", "LONGEST_HEADER = 1 << 20", "LONGEST_HEADER = 1 << 19")
    assert bart == {"bart"}
    ismrmrd = planned_after(volumes / "ismrmrd.py", "BLOCK_BYTES = 1 << 23", "BLOCK_BYTES = 1 << 22")
    assert ismrmrd == {"ismrmrd"}
    assert converted(folder, checkout, bart={"file": "scan.cfl", "rows": 0}) == {"bart"}


def test_a_wrong_reader_is_told_before_any_job(folder):
    for entry, message in (
        ({"file": "scan.cfl", "row": 1}, "datasets.own.volumes.one.row: unknown key; did you mean 'rows'?"),
        ({"file": "scan.cfl", "coils": 16}, "datasets.own.volumes.one.coils: Input should be less than 16"),
        ({"file": "scan.h5", "rows": 1}, "datasets.own.volumes.one.rows: unknown key"),
        ({"file": "scan.npy"}, "no reader of ours takes 'scan.npy' by its ending"),
        (
            {"file": "one.npy", "reader": {"class": "mypackage.readrs:Npy"}},
            "datasets.own.volumes.one: import path 'mypackage.readrs:Npy': no module mypackage.readrs; check",
        ),
        (
            {"file": "one.npy", "reader": {"class": "mypackage.readers:VolumeError"}},
            "expected a subclass of Reader",
        ),
    ):
        result = run(folder, "-n", one=entry)
        assert result.returncode != 0, entry
        assert message in result.stdout
        assert "Traceback" not in result.stdout
