"""Mistakes in a config, each a line of it, are told before anything runs: where, what, and how to mend it."""

import copy
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.workflow.runs import ROOT, snakemake, written
from workflow_scripts.config.config import ConfigError, load
from workflow_scripts.config.keys import check_keys
from workflow_scripts.config.names import CURVES, PICTURES, TABLES

GOOD = """
run: good
seed: 1
size: 64
downloads: fetched
datasets:
  drawn:
    kind: simulated
    anatomy: abdomen
    coils: 4
    rows: 64
    columns: 96
    volumes:
      first: {file: "pydicom:examples_overlay.dcm", draws: 3}
      second: {file: "pydicom:examples_overlay.dcm", draws: 3}
      third: {file: "nilearn:mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz", slices: {start: 80, stop: 83}}
    split: {train: 0.34, validation: 0.33, test: 0.33}
  own:
    kind: raw
    anatomy: brain
    volumes:
      scan: {file: scan.h5}
      bart: {file: scan.cfl, rows: 0}
  knee: {kind: fastmri, anatomy: knee, folders: [volumes], volumes: [file1.h5]}
  mailed: {kind: fastmri, anatomy: knee, mail: mail.txt, manifest: SHA256, archives: [val.tar.xz]}
  stanford: {kind: stanford, anatomy: knee, volumes: [52c2fd53]}
annotations:
  boxes: {file: boxes.csv, dataset: knee}
images:
  ellipses: {kind: ellipses, test: 2, validation: 2}
  head: {kind: files, files: [head.npy], tuned_on: ellipses}
  abdomen:
    kind: scans
    train: {dataset: drawn, split: train, count: 2}
    validation: {dataset: drawn, split: validation, count: 1}
    test: {dataset: drawn, split: test, count: 1}
  knees: {kind: scans, tuned_on: abdomen, test: {dataset: knee, count: 2}}
masks:
  lines: {kind: radial, lines: 20}
  more: {kind: radial, lines: 30}
  columns: {kind: random, acceleration: 3, center_fraction: 0.2}
domains:
  by-lines: {source: ellipses, mask: lines}
shifts:
  denser: {domain: by-lines, source: ellipses, mask: more, methods: [tira]}
levels: [0.02, 0.04]
methods:
  tv:
    label: TV
    reconstructor: total-variation
    parameters: {tolerance: 1.0e-3}
    tune: {parameter: weight, grid: {low: 1.0e-3, high: 0.1, count: 3}}
    sources: [ellipses, head]
  zero-filled: {reconstructor: zero-filled, search_arguments: {rounds: [[1, 1]]}}
  tira:
    parameters: {network: {kind: tiramisu, first: 4, growth: 2, down: [1, 1], bottleneck: 1, up: [1, 1]}}
    training: {images: 4, validation: 2, phases: [{epochs: 2, batch: 2, learning_rate: 1.0e-3}]}
    sources: [ellipses, head]
    published: tira
  l1:
    reconstructor: l1
    parameters: {basis: {kind: wavelet, levels: 3}, tolerance: 1.0e-2}
    tune: {parameter: weight, at: clean, grid: {low: 1.0e-3, high: 0.1, count: 3}}
    sources: [abdomen, knees]
  unet:
    reconstructor: trained-multi-coil
    parameters: {network: {kind: magnitude-unet, chans: 2, num_pool_layers: 2}}
    training: {loss: l1, seeds: [0, 1], phases: [{epochs: 1, batch: 1, learning_rate: 1.0e-3}]}
    sources: [abdomen, knees]
  varnet:
    reconstructor: trained-multi-coil
    parameters:
      network: {kind: varnet, chans: 2, pools: 1, sens_chans: 2, sens_pools: 1, center_fraction: 0.2}
    training: {loss: ssim, phases: [{epochs: 1, batch: 1, learning_rate: 1.0e-3}]}
    sources: [abdomen, knees]
  bought:
    reconstructor: trained-multi-coil
    parameters: {network: {kind: magnitude-unet}, published: weights.pt}
    sources: [knees]
  decoder:
    reconstructor: untrained
    parameters: {network: {kind: conv-decoder, channels: 4, layers: 3}, steps: 5}
    sources: [abdomen]
attacks:
  peak: {kind: localized, objective: peak}
  disk: {kind: localized, objective: disk, methods: [tv]}
  reference: {kind: localized, search: unrolled, select: truth, methods: [tv]}
  global: {kind: global, steps: 2, restarts: 1}
  noise: {kind: gaussian}
  refit: {kind: refit}
  two-step:
    kind: global
    search: joint
    search_arguments: {warm: 2, rounds: [[6, 2]]}
    tune: {parameter: beta, images: 1, level: 0.04, grid: {low: 1.0e-3, high: 0.1, count: 3}}
    methods: [l1, decoder]
    sources: [abdomen]
    artifact: magnitude
  radius:
    {kind: localized, objective: disk, vary: {disk_radius: [1, 5]}, methods: [tv], sources: [ellipses]}
metrics:
  structure: {kind: ssim}
experiments:
  radius-study: {kind: radius-study, attack: radius, limits: [peak, global]}
  beta: {kind: search-study, attack: two-step}
figures:
  examples: [{source: ellipses}, {source: head}]
  methods: [tv, tira]
  mask: lines
  attack: peak
  level: 0.04
"""
VALUES = yaml.safe_load(GOOD)
LINK = 'curl -C - "https://fastmri.example/val.tar.xz?Signature=a" --output val.tar.xz\n'


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """What the good config names, and some of what the wrong ones do."""
    (tmp_path / "volumes").mkdir()
    for name in ("file1.h5", "file2.h5"):
        (tmp_path / "volumes" / name).write_bytes(b"a volume")
    (tmp_path / "hollow").mkdir()
    for name in ("scan.h5", "scan.cfl", "scan.hdr", "weights.pt", "boxes.csv"):
        (tmp_path / name).write_bytes(b"content")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "dangling.h5").symlink_to(tmp_path / "nowhere.h5")
    np.save(tmp_path / "head.npy", np.eye(64))
    (tmp_path / "mail.txt").write_text(LINK)
    (tmp_path / "SHA256").write_text(f"{'0' * 64}  val.tar.xz\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NOT_SET", raising=False)
    return tmp_path


def good():
    """The good config, to be changed at will."""
    return copy.deepcopy(VALUES)


def edited(path, line):
    """The good config with a line of YAML at a path; without one the key is left out."""
    values = good()
    *parents, last = path.split("/")
    node = values
    for parent in parents:
        node = node[int(parent) if isinstance(node, list) else parent]
    if not line:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = yaml.safe_load(line)
    return values


def test_the_good_config_is_good():
    config = load(good())
    assert {"unet-0", "unet-1"} <= set(config.methods)
    assert load(good(), classes=False) == config


def mistakes():
    """Path, line and message of each line of the table."""
    for text in (Path(__file__).parent / "mistakes.txt").read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("# "):
            path, line, message = (part.strip() for part in text.split("|", 2))
            yield path, line, message


@pytest.mark.parametrize(("path", "line", "message"), list(mistakes()))
def test_a_mistake_is_told_with_its_place_and_how_to_mend_it(path, line, message):
    with pytest.raises(ConfigError, match=message):
        load(edited(path, line))


PLACES = [
    ("datasets/knee/folders", "['{}/volumes']"),
    ("datasets/mailed/mail", "{}/mail.txt"),
    ("datasets/mailed/manifest", "{}/SHA256"),
    ("datasets/own/volumes/scan/file", "{}/scan.h5"),
    ("datasets/own/volumes/bart/file", "{}/scan.cfl"),
    ("datasets/drawn/volumes/first/file", "{}/head.npy"),
    ("annotations/boxes/file", "{}/boxes.csv"),
    ("images/head/files", "['{}/head.npy']"),
    ("methods/bought/parameters/published", "{}/weights.pt"),
    ("downloads", "{}/fetched"),
]


@pytest.mark.parametrize("written_as", ["~", "$HOME", "${DATA}"])
@pytest.mark.parametrize(("path", "line"), PLACES)
def test_a_home_and_variables_may_stand_wherever_a_path_does(path, line, written_as, folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("DATA", str(folder))
    monkeypatch.chdir("/")
    values = edited(path, line.format(written_as))
    for other, absolute in PLACES:
        *parents, last = other.split("/")
        node = values
        for parent in parents:
            node = node[parent]
        if other != path:
            node[last] = yaml.safe_load(absolute.format(folder))
    found = load(values).model_dump_json()
    assert written_as not in found
    assert load(values, classes=False) == load(values)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_told(folder):
    (folder / "scan.h5").chmod(0)
    with pytest.raises(ConfigError, match=r"scan.file: scan.h5 cannot be read; mend its permissions"):
        load(good())


def test_what_may_not_be_read_is_told_whoever_asks(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name not in ("volumes", "SHA256"))
    with pytest.raises(ConfigError) as caught:
        load(good())
    assert "datasets.knee.folders: volumes cannot be read; mend its permissions (chmod u+rx)" in str(
        caught.value
    )
    assert "datasets.mailed.manifest: SHA256 cannot be read; mend its permissions" in str(caught.value)


def test_what_the_workflow_fetches_need_not_be_there(folder):
    assert not (folder / "fetched").exists()
    load(good())
    # What is fetched needs no link any more.
    (folder / "fetched/fastmri/mailed").mkdir(parents=True)
    (folder / "fetched/fastmri/mailed/train.tar.xz").write_bytes(b"an archive")
    load(edited("datasets/mailed/archives", "[train.tar.xz]"))


def test_figures_that_would_be_one_file_are_told():
    values = edited("masks/b-lines", "{kind: radial, lines: 3}")
    values["images"] |= {"a": copy.deepcopy(values["images"]["head"]), "a-b": values["images"]["head"]}
    with pytest.raises(
        ConfigError, match="figures of a-b and lines would have the name of those of a and b-lines"
    ):
        load(values)


def test_mistakes_of_all_kinds_are_listed_at_once():
    values = edited("datasets/knee/folders", "[nowhere]")
    values["attacks"]["clean"] = {"kind": "gaussian"}
    values["methods"]["tv"]["parameters"]["toleranc"] = 1
    with pytest.raises(ConfigError) as caught:
        load(values)
    assert len(str(caught.value).splitlines()) == 4


def test_a_mistake_of_several_seeds_is_told_once_where_it_stands():
    with pytest.raises(ConfigError) as caught:
        load(edited("methods/unet/training/phases/0/epochs", "0"))
    assert len(str(caught.value).splitlines()) == 2


def test_a_key_that_stands_twice_is_told_and_a_merged_one_may(tmp_path):
    twice = tmp_path / "twice.yaml"
    twice.write_text(
        "run: a\nmasks:\n  one: &one {lines: 1}\n  two: {<<: *one, lines: 2}\n  one: {lines: 3}\n"
    )
    with pytest.raises(
        ConfigError, match=r"masks.one: this key stands twice, in lines 3 and 5 of .*twice.yaml"
    ) as found:
        check_keys([twice])
    assert len(str(found.value).splitlines()) == 2
    for config in ROOT.glob("config*.yaml"):
        check_keys([config])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  peak: {",
            "  clean: {kind: gaussian}\n  peak: {",
            "attacks.clean: 'clean' stands for data without",
        ),
        (
            "  noise: {",
            "  peak: {kind: gaussian}\n  noise: {",
            "attacks.peak: this key stands twice, in lines",
        ),
        ("[volumes], vol", "[volums], vol", "datasets.knee.folders: volums does not exist; name the folder"),
        ("\nseed: 1", "\n\tseed: 1", "make sure to not mix whitespace and tab"),
    ],
)
def test_a_dry_run_ends_with_the_message_and_without_a_traceback(folder, old, new, message):
    assert GOOD.count(old) == 1
    (folder / "wrong.yaml").write_text(GOOD.replace(old, new))
    done = snakemake(folder, "-n", "--configfile", "wrong.yaml")
    assert done.returncode == 1
    assert message in done.stdout
    assert "Traceback" not in done.stdout


def test_the_good_config_is_planned_and_its_files_are_called_as_is_known(folder):
    values = good()
    values["downloads"] = "~/fetched"
    done = snakemake(folder, "--summary", "--configfile", written(folder, values))
    assert done.returncode == 0, done.stdout
    files = {
        Path(line.partition("\t")[0]) for line in done.stdout.splitlines() if line.startswith("results/")
    }
    drawn = {file.stem for file in files if file.parent == Path("results/good/figures")}
    tabled = {file.stem for file in files if file.parent == Path("results/good/tables")}
    own = set(values["experiments"])
    assert len(drawn) > 20
    assert tabled - own <= TABLES
    assert {name for name in drawn - own - TABLES - CURVES if name.split("-")[0] not in PICTURES} == set()


@pytest.mark.parametrize(("fraction", "told"), [(0.34, True), (0.32, False)])
def test_a_centre_that_no_width_leaves_columns_beside_is_told_of_scans_of_any_width(fraction, told):
    values = good()
    values = {name: values[name] for name in ("run", "seed", "datasets", "images", "masks", "methods")}
    values["images"] = {"knees": {"kind": "scans", "test": {"dataset": "knee", "count": 1}}}
    values["methods"] = {"zero-filled": {"reconstructor": "zero-filled"}}
    values["masks"]["columns"]["center_fraction"] = fraction
    if not told:
        load(values)
        return
    with pytest.raises(
        ConfigError, match=r"masks.columns: scans of any width: .*center_fraction=0.34 alone samples"
    ):
        load(values)
