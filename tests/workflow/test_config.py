import copy
import re
from pathlib import Path

import pytest
import yaml

from mrilib.data.coil_compression import CoilCompression
from workflow_scripts.config.config import ConfigError, load
from workflow_scripts.config.entries import words

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder with what the configs name of a user's data."""
    for part in (f"{anatomy}/multicoil_{part}" for anatomy in ("knee", "brain") for part in ("train", "val")):
        file = tmp_path / "data/fastmri" / part / "file1.h5"
        file.parent.mkdir(parents=True)
        file.touch()
    boxes = [f"data/fastmri/annotations/{name}.csv" for name in ("knee", "caliva_validation")]
    for name in [*boxes, "mrilib/data/volumes/demo_boxes.csv"]:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("file,slice\n")
    monkeypatch.chdir(tmp_path)


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
    "config.shifts.yaml",
    "config.features.yaml",
    "config.theory.yaml",
    "config.paper.yaml",
    "config.paper.multicoil.yaml",
    "benchmarks/weight_study.yaml",
)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_configs_of_the_repository_are_valid(name):
    load(yaml.safe_load((ROOT / name).read_text()))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("levls", [0.1], "levls: unknown key; did you mean 'levels'?"),
        ("images/ellipses/tst", 3, "images.ellipses.tst: unknown key; did you mean 'test'?"),
        ("methods/tv/tune/grid/cout", 3, "methods.tv.tune.grid.cout: unknown key; did you mean 'count'?"),
        ("levels", [0.01, -0.1], "levels.1: Input should be greater than 0; got -0.1"),
        ("levels", [0.01, 0.01], "levels: expected each level once"),
        ("masks/radial-40/size", 512, r"masks.radial-40: the mask \(512\) is larger than the images \(256"),
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
            "methods.tv.reconstructor: 'sparse.TotalVariation' is no method of ours",
        ),
        ("attacks/peak/objective", "peek", "attacks.peak.objective: .*'peak' or 'disk'; got 'peek'"),
        ("attacks/peak/masks", ["radial-41"], "attacks.peak.masks: 'radial-41' is not defined; did you mean"),
        ("figures/level", 0.02, "figures.level: 0.02 is not among levels"),
        (
            "figures/methods",
            ["tv", "zero-fild"],
            "figures.methods: 'zero-fild' is not defined; did you mean 'zero-filled'?",
        ),
        ("masks/radial-40/line", 3, "masks.radial-40.line: unknown key; did you mean 'lines'?"),
        (
            "masks/radial-40/kind",
            "radal",
            "masks.radial-40.kind: 'radal' is no mask of ours; did you mean 'radial'",
        ),
        (
            "masks/radial-40",
            {"class": "mrilib.data.sampling.radial:Radiol"},
            "does not define Radiol; it has",
        ),
        (
            "masks/radial-40",
            {"class": "mrilib.attacks.kinds.whole:Global"},
            "masks.radial-40: import path .*: expected a subclass of Sampling",
        ),
        ("attacks/radius/images", 9, "attacks.radius.images: ellipses has 2 test images, got 9"),
        ("attacks/peak/levels", [0.01], r"figures.level: peak is run at \[0.01\] alone, got 0.04"),
        ("attacks/peak/grid", 8.5, "attacks.peak.grid: .* got 8.5"),
        ("attacks/peak/grid", 8.0, "attacks.peak.grid: expected a whole number, got 8.0"),
        (
            "methods/tv/parameters/tolerance",
            "1e-4",
            "methods.tv.parameters.tolerance: expected a number, got '1e-4' as text; write 1.0e-3 for 1e-3",
        ),
        (
            "masks/radial-40",
            {"lines": 3},
            r"masks.radial-40.kind: expected one of our masks \(.*radial\), or class",
        ),
        ("attacks/radius/levels", [0.5], "attacks.radius.levels: 0.5 is not among levels"),
        ("attacks/radius/vary", {"disk_radius": [-1]}, "attacks.radius.vary.disk_radius: .* got -1"),
        ("attacks/radius/vary", {"radius": [1]}, "attacks.radius.vary.radius: unknown key; did you mean"),
        ("attacks/radius/vary", {"factor": [1], "grid": [1]}, "attacks.radius.vary: .*at most 1 item"),
        (
            "experiments/radius-study/attack",
            "radus",
            "experiments.radius-study.attack: 'radus' is not defined; did you mean 'radius'",
        ),
        ("methods/zero-filled/search", "coupld", "methods.zero-filled.search: 'coupld' is no search of ours"),
        ("methods/tv/parameters/toleranc", 1, "methods.tv.parameters.toleranc: unknown key; did you mean"),
        (
            "methods/tv/tune/parameter",
            "weigth",
            "methods.tv.tune.parameter: TotalVariation takes no 'weigth'; did",
        ),
        (
            "methods/tirafl/parameters/inverse/siz",
            3,
            "methods.tirafl.parameters.inverse.siz: unknown key; did you mean 'size'",
        ),
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
        ("experiments", {"a": {"arguments": {}}}, "experiments.a.kind: expected one of our experiments"),
    ],
)
def test_a_mistake_gets_one_clear_line(values, path, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load(edited(values, path, value))
    assert len(str(caught.value).splitlines()) == 2


def raw(**entry):
    """A dataset of one raw file."""
    return {"kind": "raw", "anatomy": "brain", "volumes": {"one": entry}}


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
        (
            "datasets/knee-train/coil_compression",
            {"shar": 0.9},
            "datasets.knee-train.coil_compression.shar: unknown key; did you mean 'share'?",
        ),
        ("datasets/knee-train/coil_compression", {"share": 0.0}, "coil_compression.share: .*greater than 0"),
        ("datasets/knee-train/coil_compression", {"share": 1.1}, "coil_compression.share: .*less than or eq"),
        ("datasets/knee-train/coil_compression", {"from_coils": 0}, "coil_compression.from_coils: "),
        ("datasets/stanford-knees/volumes", ["../secret"], "datasets.stanford-knees.volumes.0: .*secret"),
        ("datasets/stanford-knees/sha256", {"a": "0123"}, "datasets.stanford-knees.sha256.a: "),
        (
            "datasets/own",
            raw(file="scan.xyz"),
            r"no reader of ours takes 'scan.xyz' by its ending; there are .*\.cfl \(bart\).*\.mrd "
            r"\(ismrmrd\); name one of them, .* or your own, `reader: {class: package.module:Name",
        ),
        ("datasets/own", raw(rows=1), "datasets.own.volumes.one.file: this key is missing"),
        (
            "datasets/own",
            raw(file="scan.xyz", reader={"kind": "brat"}),
            "'brat' is no reader of ours; did you mean 'bart'",
        ),
        (
            "datasets/own",
            raw(file="scan.xyz", reader={"clas": "mypackage:Mine"}),
            "datasets.own.volumes.one.reader.clas: unknown key; did you mean 'class'?",
        ),
        (
            "datasets/own",
            raw(file="scan.cfl", reader={"kind": "bart", "rows": 1}, rows=0),
            "reader: scan.cfl: expected rows once, got it twice",
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
    for key in ("levels", "attacks", "figures", "shifts", "experiments"):
        del scans[key]
    # Those that name methods, which are replaced.
    scans["images"] = {name: each for name, each in scans["images"].items() if "methods" not in each}
    scans["images"]["lonely"] = {"kind": "scans", "test": {"dataset": "stanford-knees", "count": 1}}
    scans["images"]["lonely"]["masks"] = ["random-4"]
    scans["masks"]["radial"] = {"kind": "radial", "lines": 40}
    with pytest.raises(ConfigError, match=message):
        load(edited(scans, path, value))


def test_many_coils_are_compressed_unless_the_dataset_says_otherwise():
    scans = yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text())

    def shares(value):
        path = "datasets/knee-train/coil_compression"
        found = load(scans if value == "default" else edited(scans, path, value)).datasets["knee-train"]
        compression = found.coil_compression
        if compression is None:
            return None
        told = CoilCompression(**compression.model_dump())
        return [told.share_of(coils) for coils in (1, 31, 32, 128)]

    assert shares("default") == [None, None, 0.99, 0.99]
    assert shares({"share": 0.95}) == [None, None, 0.95, 0.95]
    assert shares({"from_coils": 2}) == [None, 0.99, 0.99, 0.99]
    assert shares(None) is None


def test_an_argument_out_of_range_is_told_of_every_class():
    scans = yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text())
    with pytest.raises(ConfigError, match=r"masks.random-4.acceleration: .* got 0.5"):
        load(edited(scans, "masks/random-4/acceleration", 0.5))


@pytest.mark.parametrize(
    ("entry", "reader", "arguments"),
    [
        ({"file": "a.b.h5"}, "mrilib.data.volumes.ismrmrd:Ismrmrd", {}),
        ({"file": "a.mrd"}, "mrilib.data.volumes.ismrmrd:Ismrmrd", {}),
        ({"file": "a.hdr"}, "mrilib.data.volumes.cfl:Bart", {}),
        ({"file": "a.cfl", "rows": 1}, "mrilib.data.volumes.cfl:Bart", {"rows": 1}),
        ({"file": "a", "reader": {"kind": "bart"}, "rows": 1}, "mrilib.data.volumes.cfl:Bart", {"rows": 1}),
        ({"file": "a.h5", "reader": {"class": "mypackage:Mine"}}, "mypackage:Mine", {}),
        (
            {"file": "a", "reader": {"class": "mypackage:Mine", "arguments": {"fast": True}}, "threads": 2},
            "mypackage:Mine",
            {"fast": True, "threads": 2},
        ),
    ],
)
def test_a_raw_file_has_the_reader_of_its_ending_or_the_one_that_is_named(values, entry, reader, arguments):
    config = load(values | {"datasets": {"own": raw(**entry)}}, classes=False)
    assert config.datasets["own"].reader("one") == {"class": reader, "arguments": arguments}
    assert config.datasets["own"].raw_file("one", "downloads") == entry["file"]


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


def test_attacks_keep_to_their_masks_methods_and_images(values):
    config = load(values, classes=False)
    shown = config.shown_attacks
    assert shown("tv", "ellipses", "radial-40") == ["peak", "disk", "global", "gaussian"]
    assert shown("tv", "head", "radial-40") == ["peak", "object", "disk", "global", "gaussian"]
    assert shown("tv", "ellipses", "radial-25") == ["peak", "gaussian"]
    assert shown("zero-filled", "ellipses", "radial-40") == ["peak", "gaussian"]
    assert "radius" in config.attacks_of("tv", "ellipses", "radial-40", 0)
    assert "radius" not in config.attacks_of("tv", "ellipses", "radial-40", 1)
    assert config.searched("tv", "ellipses", "radial-40") == ["peak", "disk", "global"]


def test_an_attack_that_varies_an_argument_is_run_for_each_of_its_values(values):
    attack = load(values, classes=False).attacks["radius"]
    assert [each.arguments["disk_radius"] for each in attack.variants] == [1, 3, 5, 15, 50, 128]
    assert {each.varied for each in attack.variants} == {"disk_radius"}
    factors = load(
        edited(values, "attacks/peak/vary", {"factor": [0.5, 2]})
        | {
            "methods": {"tv": values["methods"]["tv"]},
            "figures": None,
            "attacks": {"peak": {"kind": "localized", "vary": {"factor": [0.5, 2]}}},
        },
        classes=False,
    )
    assert [each.factors for each in factors.attacks["peak"].variants] == [[0.5], [2.0]]


def test_an_entry_by_its_word_is_that_by_its_class(values):
    named = {"class": "mrilib.data.sampling.radial:Radial", "arguments": {"lines": 40}}
    first, second = load(values), load(edited(values, "masks/radial-40", named))
    assert first.masks["radial-40"].described == second.masks["radial-40"].described == named
    with pytest.raises(ConfigError, match=r"masks.radial-40.kind: expected kind or class, got both"):
        load(edited(values, "masks/radial-40", named | {"kind": "radial"}))


def test_every_mask_may_measure_every_source():
    scans = yaml.safe_load((ROOT / "config.paper.multicoil.yaml").read_text())
    scans["masks"]["radial"] = {"kind": "radial", "lines": 40}
    del scans["shifts"], scans["figures"]
    assert load(scans, classes=False).masks_for("knee") == ["random-4"]
    assert load(edited(scans, "images/knee/masks", ["radial"]), classes=False).masks_for("knee") == ["radial"]
    del scans["images"]["knee"]["masks"]
    columns = [name for name in scans["masks"] if name != "radial"]
    assert load(scans, classes=False).masks_for("knee") == columns


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
    found = load(values, classes=False)
    assert found.metrics["haarpsi"].described == own
    assert found.experiments["severe"].described == {
        "class": "mrilib.experiments.attacks:Attacks",
        "arguments": {"quantity": "artifact_norm"},
    }
    assert set(words("experiment")) == {
        *("attacks", "quality", "radius-study", "search-study", "table-1", "transfer", "weight-study"),
        *("effort-study", "amplification-hypotheses", "ranking", "volume-quality"),
        *("shift", "acceleration-shift", "difficulty", "boxes"),
        *("information-loss", "location-dependence", "fit-study", "feature-agreement"),
        *("smallest-contrast", "smallest-perturbation"),
        *("shift", "acceleration-shift", "difficulty"),
        *("recovery-growth", "phase-transition", "recovery-artifacts"),
        *("recovery-noise", "recovery-phantoms"),
    }
    assert set(words("feature")) == {"location-map", "fit-trace", "worst-feature", "appear", "hide"}


def test_studies_of_features_are_run_where_they_can_be():
    given = yaml.safe_load((ROOT / "config.features.yaml").read_text())
    config = load(given, classes=False)
    place = ("brain", "random-4")
    assert config.features_of("zero-filled", *place) == [
        "bright",
        "dark",
        "constant",
        "worst",
        "appear",
        "hide",
    ]
    # Of the first images alone, and fits of methods that are fitted.
    assert config.features_of("zero-filled", *place, 1) == ["bright", "dark", "constant"]
    assert config.features_of("convdecoder-gd", *place, 1) == ["bright", "fit"]
    # Without annotations nothing can be hidden, and nobody asks for what cannot be run.
    del given["annotations"], given["features"]["hide"]["methods"], given["experiments"]
    with pytest.raises(ConfigError, match=r"features\.hide: it is run on no method"):
        load(given, classes=False)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kind": "location-mop"}, "features.a.kind: 'location-mop' is no feature of ours; did you mean"),
        ({"methods": ["tvv"]}, "features.a.methods: 'tvv' is not defined; did you mean 'tv'"),
        ({"sources": ["knee"]}, "features.a.sources: 'knee' is not defined"),
        ({"images": 9}, "features.a.images: brain has 4 test images, got 9"),
        ({"spacing": 3}, "features.a: LocationMap: expected spacing above the largest of the sizes"),
        (
            {"kind": "fit-trace", "methods": ["tv"]},
            "features.a.methods: 'tv' is not fitted in steps, which fit",
        ),
        ({"contrst": 1}, "features.a.contrst: unknown key; did you mean 'contrast'"),
    ],
)
def test_mistakes_in_studies_of_features(changes, told):
    given = yaml.safe_load((ROOT / "config.features.yaml").read_text())
    given["features"] = {"a": {"kind": "location-map"} | changes}
    given["experiments"] = {}
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(given)


def test_experiments_name_studies_that_there_are():
    given = yaml.safe_load((ROOT / "config.features.yaml").read_text())
    given["experiments"]["fits"]["feature"] = "fitt"
    with pytest.raises(
        ConfigError, match=r"experiments\.fits\.feature: 'fitt' is not defined; did you mean 'fit'"
    ):
        load(given)


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
    # Two more at eight-fold.
    assert len(config.trainings) == 62
    shifted = [each for each in config.shifted if each.source == "brain"]
    assert len(shifted) == 35
    assert {each.domain for each in shifted} == {"knee@random-4"}
