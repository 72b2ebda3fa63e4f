import copy
from pathlib import Path

import pytest
import yaml

from workflow_scripts.config.config import ConfigError, load
from workflow_scripts.config.entries import words

ROOT = Path(__file__).parents[2]


@pytest.fixture
def values():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def edited(values, path, value):
    changed = copy.deepcopy(values)
    *parents, last = path.split("/")
    node = changed
    for parent in parents:
        node = node[int(parent) if isinstance(node, list) else parent]
    node[last] = value
    return changed


PHASE = {"epochs": 1, "batch": 1, "learning_rate": 1e-3}
CONFIGS = (
    "config.yaml",
    "config.multicoil.yaml",
    "config.paper.yaml",
    "config.paper.multicoil.yaml",
    "benchmarks/weight_study.yaml",
)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_of_the_repository_are_valid(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    load(yaml.safe_load((ROOT / name).read_text()))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("levls", [0.1], "levls: unknown key; did you mean 'levels'?"),
        ("images/ellipses/tst", 3, "images.ellipses.tst: unknown key; did you mean 'test'?"),
        ("methods/tv/tune/grid/cout", 3, "methods.tv.tune.grid.cout: unknown key; did you mean 'count'?"),
        ("levels", [0.01, -0.1], "levels.1: Input should be greater than 0; got -0.1"),
        ("levels", [0.01, 0.01], "levels: expected each level once"),
        ("masks/radial-40/size", 512, "the mask \\(512\\) is larger than the images \\(256\\)"),
        ("masks/radial-40/lines", 0, "masks.radial-40.lines: .* got 0"),
        (
            "images/head/tuned_on",
            "elipses",
            "images.head.tuned_on: 'elipses' is not defined; did you mean 'ellipses'?",
        ),
        ("images/head/files", ["nowhere.png"], "images.head.files: nowhere.png does not exist"),
        ("images/ellipses/test", -3, "images.ellipses.test: .* got -3"),
        (
            "methods/tv/reconstructor",
            "sparse.TotalVariation",
            "methods.tv.reconstructor: .* got 'sparse.TotalVariation'",
        ),
        ("attacks/peak/objective", "peek", "attacks.peak.objective: .*'peak' or 'disk'.* got 'peek'"),
        ("attacks/peak/masks", ["radial-41"], "attacks.peak.masks: 'radial-41' is not defined; did you mean"),
        ("figures/level", 0.02, "figures.level: 0.02 is not among levels"),
        (
            "figures/methods",
            ["tv", "zero-fild"],
            "figures.methods: 'zero-fild' is not defined; did you mean 'zero-filled'?",
        ),
        ("studies/radius/images", 9, "studies.radius.images: ellipses has 2 test images, got 9"),
        ("methods/tira/training/phases/0/batch", 900, "phases.0.batch: 900 is more than the"),
        ("methods/tira/training/phases/0/epocs", 3, "phases.0.epocs: unknown key; did you mean 'epochs'?"),
        ("methods/tira/training/jitter", -1, "methods.tira.training.jitter: .* got -1"),
        ("methods/tira/training/source", "head", "methods.tira.training.source: unknown key"),
        ("methods/tira/training/loss", "ssim", "loss: images, validation and jitter are for phantoms"),
        ("methods/tv/tune/at", "level", "methods.tv.tune.at: .*'levels' or 'clean'"),
        ("attacks/object/region", "body", "attacks.object.region: .*'image' or 'object'"),
        (
            "attacks/peak/sources",
            ["heat"],
            "attacks.peak.sources: 'heat' is not defined; did you mean 'head'?",
        ),
        ("domains", {"a": {"source": "elipses", "mask": "radial-40"}}, "domains.a.source: 'elipses' is not"),
        (
            "shifts",
            {"a": {"domain": "ellipses@radial-4", "source": "head", "mask": "radial-25"}},
            "shifts.a.domain: 'ellipses@radial-4' is not defined; did you mean",
        ),
        (
            "shifts",
            {"a": {"domain": "ellipses@radial-40", "source": "head", "mask": "radial-40"}},
            "shifts.a.domain: 'ellipses@radial-40' is the usual domain of head under radial-40",
        ),
        (
            "shifts",
            {
                "a": {
                    "domain": "ellipses@radial-40",
                    "source": "head",
                    "mask": "radial-25",
                    "methods": ["zero-filled"],
                }
            },
            "shifts.a.methods: 'zero-filled' is not defined",
        ),
        ("methods/tirafl/training/start/method", "tv", "start.method: 'tv' is not defined"),
        ("methods/tirafl/training/start/epoch", 99, "start.epoch: tira is trained for .* epochs, got 99"),
        (
            "methods/tira/training/start",
            {"method": "tirafl", "epoch": 1},
            "start.method: tira starts from tirafl starts from tira",
        ),
        ("seed", "abc", "seed: Input should be a valid integer"),
        ("metrics", {"a": {"kind": "sim"}}, "kind: 'sim' is no metric of ours; did you mean 'ssim'?"),
        ("metrics", {"level": {"kind": "ssim"}}, "metrics.level: scores have a column of this name"),
        ("experiments", {"a": {"kind": "attack"}}, "kind: 'attack' is no experiment of ours; did you mean"),
        ("experiments", {"a": {"arguments": {}}}, "experiments.a.class: this key is missing"),
    ],
)
def test_a_mistake_gets_one_clear_line(values, path, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(edited(values, path, value))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "images/knee/test/dataset",
            "knee-vall",
            "images.knee.test.dataset: 'knee-vall' is not defined; did you mean 'knee-val'?",
        ),
        ("images/knee/test/split", "test", "images.knee.test.split: 'test' is not defined"),
        ("images/knee/test/contrast", "T1", "images.knee.test.contrast: unknown key"),
        ("datasets/knee-val/folders", [], "folders: expected folders with volumes, or mail and archives"),
        ("datasets/knee-val/archives", ["a.tar.xz"], "mail: expected the file of the e-mail"),
        ("datasets/knee-train/split", {"train": 0.9, "test": 0.3}, "fractions that add up to 1"),
        ("datasets/stanford-knees/volumes", ["../secret"], "datasets.stanford-knees.volumes.0: .*secret"),
        ("datasets/stanford-knees/sha256", {"a": "0123"}, "datasets.stanford-knees.sha256.a: "),
        ("masks/random-4/acceleration", 0.5, "masks.random-4.acceleration: .* got 0.5"),
        (
            "images/knee/masks",
            ["radial"],
            "images.knee.masks: scans need a mask of columns, 'radial' is none",
        ),
        ("annotations", {"plus": {"file": "a.csv", "dataset": "kne"}}, "annotations.plus.dataset: 'kne'"),
        (
            "images/head",
            {"kind": "files", "files": ["."], "test": 1, "tuned_on": "knee"},
            "scans take the methods of",
        ),
        (
            "methods",
            {"tira": {"training": {"images": 1, "validation": 1, "phases": [PHASE]}}},
            "methods.tira.training.loss: expected 'ssim', 'l1' or 'mse' on knee, got 'moduli'",
        ),
        (
            "methods",
            {"unet": {"training": {"loss": "l2", "phases": [PHASE]}}},
            "methods.unet.training.loss: .*'ssim', 'l1' or 'mse'",
        ),
        (
            "methods",
            {"unet": {"training": {"loss": "l1", "phases": [PHASE]}}},
            "images.lonely.train: methods.unet needs this set, or a source that it is tuned_on",
        ),
        (
            "methods/unet/training/seeds",
            [0, 0],
            "methods.unet.training.seeds: expected several seeds, each once",
        ),
        ("masks/random-4-b/tuned_on", "random", "masks.random-4-b.tuned_on: 'random' is not defined"),
        ("methods/tv/tune/at", "levels", "methods.tv.tune.at: there are no levels"),
        ("attacks", {"peak": {"kind": "localized"}}, "levels: attacks need this key"),
        (
            "images/lonely/tuned_on",
            "kne",
            "images.lonely.tuned_on: 'kne' is not defined; did you mean 'knee'",
        ),
    ],
)
def test_mistakes_about_scans(path, value, message):
    scans = yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text())
    scans["images"]["lonely"] = {"kind": "scans", "test": {"dataset": "stanford-knees", "count": 1}}
    scans["images"]["lonely"]["masks"] = ["random-4"]
    scans["masks"]["radial"] = {"kind": "radial", "lines": 40}
    with pytest.raises(ConfigError, match=message):
        load(edited(scans, path, value))


def test_every_mistake_is_listed(values):
    values.pop("seed")
    with pytest.raises(ConfigError) as caught:
        load(edited(values, "sise", 3))
    assert "seed: this key is missing" in str(caught.value)
    assert "sise: unknown key; did you mean 'size'?" in str(caught.value)


def test_an_empty_file_and_an_uncounted_folder_are_known_before_any_job(values, tmp_path):
    (tmp_path / "empty.png").touch()
    with pytest.raises(ConfigError, match=r"empty.png is empty \(0 bytes\)"):
        load(edited(values, "images/head/files", [str(tmp_path / "empty.png")]))
    with pytest.raises(ConfigError, match=r"images\.head\.test: the number of images is needed"):
        load(edited(values, "images/head/files", [str(tmp_path)]))


def test_attacks_keep_to_their_masks_and_methods(values):
    config = load(values)
    assert config.attacks_of("tv", "ellipses", "radial-40") == ["peak", "disk", "global", "gaussian"]
    assert config.attacks_of("tv", "head", "radial-40") == ["peak", "object", "disk", "global", "gaussian"]
    assert config.attacks_of("tv", "ellipses", "radial-25") == ["peak", "gaussian"]
    assert config.attacks_of("zero-filled", "ellipses", "radial-40") == ["peak", "gaussian"]


def test_a_search_is_the_classs_own_where_the_config_names_none(values):
    config = load(values)
    assert config.search_of("tv", "peak", "ellipses") == "mrilib.attacks.searches.coupled:CoupledAscent"
    assert config.search_of("tira", "peak", "ellipses") == "mrilib.attacks.searches.gradient:GradientAscent"
    assert config.search_of("tv", "gaussian", "ellipses") is None
    moduli = load(edited(values, "attacks/peak/artifact", "magnitude"))
    assert moduli.search_of("tv", "peak", "ellipses") == "mrilib.attacks.searches.gradient:GradientAscent"


def test_metrics_and_experiments_are_classes_with_arguments(values):
    own = {"class": "mypackage.metrics:HaarPSI", "arguments": {"scales": 3}}
    values |= {"metrics": {"haarpsi": own}}
    values |= {"experiments": {"severe": {"kind": "attacks", "quantity": "artifact_norm"}}}
    found = load(values)
    assert found.metrics["haarpsi"].described == own
    assert found.experiments["severe"].described == {
        "class": "mrilib.experiments.attacks:Attacks",
        "arguments": {"quantity": "artifact_norm"},
    }
    assert set(words("experiment")) == {
        *("attacks", "quality", "radius-study", "table-1", "transfer", "weight-study")
    }


def test_seeds_make_methods_of_one_and_domains_are_named():
    config = load(yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text()))
    assert [name for name in config.methods if name.startswith("varnet3-")] == [
        f"varnet3-{n}" for n in range(3)
    ]
    assert {config.methods[f"varnet3-{n}"].replica_of for n in range(3)} == {"varnet3"}
    assert config.methods["varnet3-2"].training.seed == 2
    assert config.usual_domain("stanford", "random-4") == "knee@random-4"
    assert config.usual_domain("knee-draws", "random-4-b") == "knee@random-4"
    # 30 networks on two anatomies, each applied to the other one as well; untuned methods are not shifted.
    assert len(config.trainings) == 60
    shifted = [each for each in config.shifted if each.source == "brain"]
    assert len(shifted) == 35
    assert {each.domain for each in shifted} == {"knee@random-4"}
