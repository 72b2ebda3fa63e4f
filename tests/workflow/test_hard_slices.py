"""Sources of hard slices and of their control: in the config, in the plan, and in a run."""

import copy

import h5py
import pytest

from mrilib.data.catalogue import Entry, read_catalogue, to_frame
from mrilib.experiments.columns import empty_row
from mrilib.experiments.scores import read_scores, scores_csv
from tests.workflow.runs import (
    COLUMNS,
    SCAN_DATA,
    jobs_to_run,
    scan_source,
    snakemake,
    tiny,
    tiny_scans,
    written,
)
from workflow_scripts.config.config import ConfigError, load
from workflow_scripts.config.costs import Size, size_of
from workflow_scripts.config.entries import words
from workflow_scripts.config.sizes import shapes_of
from workflow_scripts.stages import select_control, select_hardest

SETS = "results/tiny/sets"


def hard_slices():
    """A pool of four slices under another draw of the mask, its two hardest ones, and their control."""
    values = tiny_scans(["zero-filled", "tikhonov"])
    volumes = {f"pool-{n}": {"file": "pydicom:examples_overlay.dcm", "draws": 2} for n in range(2)}
    pool = {key: value for key, value in SCAN_DATA.items() if key != "split"} | {"volumes": volumes}
    values["datasets"] |= {"pool-data": pool | {"rows": 44}}
    values["masks"] = {
        "columns": COLUMNS | {"kind": "random"},
        "columns-b": COLUMNS | {"kind": "random", "draw": 1, "tuned_on": "columns"},
    }
    tested = {"kind": "scans", "tuned_on": "abdomen", "masks": ["columns"]}
    values["images"] = {
        "abdomen": scan_source(validation=1, test=1) | {"masks": ["columns"]},
        "pool": tested
        | {"test": {"dataset": "pool-data", "count": 5, "fewer": True}, "masks": ["columns-b"]}
        | {"methods": ["zero-filled", "tikhonov"]},
        "hard": tested
        | {"test": {"hardest_of": "pool", "by": ["zero-filled", "tikhonov"], "count": 2}}
        | {"methods": ["zero-filled"]},
        "control": tested | {"test": {"control_of": "hard", "count": 2}, "methods": ["zero-filled"]},
    }
    return values


def edited(path, value):
    values = copy.deepcopy(hard_slices())
    *parents, last = path.split("/")
    node = values
    for parent in parents:
        node = node[parent]
    node[last] = value
    return values


def test_what_reads_selections_sees_that_of_the_pool():
    config = load(hard_slices())
    assert [config.pool_of(name) for name in config.images] == ["abdomen", "pool", "pool", "pool"]
    assert config.sets_of("hard") == config.sets_of("control") == config.sets_of("pool")
    assert {part: each.split for part, each in config.sets_of("abdomen").items()} == {
        "test": "test",
        "validation": "validation",
    }
    assert [config.count(name) for name in config.images] == [1, 5, 2, 2]
    assert shapes_of(config, "control") == [(44, 48)]
    assert size_of(config, "hard") == Size(4, 44, 48)
    assert load(hard_slices(), classes=False).model_dump() == config.model_dump()
    assert config.model_dump()["images"]["control"]["test"] == {"control_of": "hard", "count": 2}


def test_a_source_takes_the_methods_that_it_names():
    config = load(hard_slices())
    assert {(each.source, each.method) for each in config.applications} == {
        *((source, method) for source in ("abdomen", "pool") for method in ("zero-filled", "tikhonov")),
        ("hard", "zero-filled"),
        ("control", "zero-filled"),
    }
    values = hard_slices()
    values["masks"]["denser"] = COLUMNS | {"acceleration": 2}
    shift = {"domain": "abdomen@columns", "source": "abdomen", "mask": "denser"}
    assert [each.method for each in load(values | {"shifts": {"a": shift}}).shifted] == ["tikhonov"]
    for changes, message in (
        ({}, "shifts.a: none of the methods of hard is tuned or trained on abdomen@columns; leave it out"),
        ({"methods": ["tikhonov"]}, "shifts.a.methods: 'tikhonov' is not among the methods of hard; leave"),
    ):
        with pytest.raises(ConfigError, match=message):
            load(values | {"shifts": {"a": shift | {"source": "hard"} | changes}})


def test_phantoms_and_images_from_files_take_the_methods_that_they_name():
    values = tiny(figures=None)
    del values["attacks"]["object"]  # of the head, by other methods
    values["images"]["ellipses"]["methods"] = ["tv", "tira"]
    values["images"]["head"]["methods"] = ["zero-filled"]
    with pytest.raises(ConfigError, match=r"methods.tirafl: it is applied to no source under any mask"):
        load(values, classes=False)
    del values["methods"]["tirafl"]
    config = load(values, classes=False)
    assert [(each.source, each.method) for each in config.applications] == [
        ("ellipses", "tv"),
        ("ellipses", "tira"),
        ("head", "zero-filled"),
    ]
    assert config.rivals_of("tv", "ellipses", "radial-40") == ["tira"]


MISTAKES = [
    ("images/hard/test/hardest_of", "pol", "hard.test.hardest_of: .*, got 'pol'; did you mean 'pool'"),
    ("images/hard/test/hardest_of", "control", "hard.test.hardest_of: expected a source of scans whose test"),
    ("images/hard/test/hardest_of", "hard", "hard.test.hardest_of: expected a source of scans whose test"),
    ("images/hard/test/by", [], "images.hard.test.by: expected at least one, got an empty list; name one"),
    ("images/hard/test/by", ["tikonov"], "hard.test.by: 'tikonov' is not defined; did you mean 'tikhonov'"),
    (
        "images/pool/methods",
        ["zero-filled"],
        "hard.test.by: 'tikhonov' is not applied to pool under columns-b; leave it out, or widen",
    ),
    ("images/hard/test/quantity", "sim", "hard.test.quantity: 'sim' is not measured .*did you mean 'ssim'"),
    ("images/hard/test/quantity", "severity", "hard.test.quantity: 'severity' is not measured of recon"),
    ("images/hard/test/count", 3, "hard.test.count: expected at most half of the 5 slices of pool, .*got 3"),
    ("images/hard/test/count", 0, "images.hard.test.count: .*greater than or equal to 1; got 0"),
    ("images/hard/test/cuont", 2, "images.hard.test.cuont: unknown key; did you mean 'count'"),
    ("images/hard/test/dataset", "pool-data", "images.hard.test.dataset: unknown key; allowed: by, count"),
    ("images/hard/test", {"hardest_of": "pool", "by": ["tikhonov"]}, "hard.test.count: this key is missing"),
    ("images/hard/test", {"hardest": "pool"}, "hard.test.hardest: unknown key; did you mean 'hardest_of'"),
    ("images/hard/test", 2, "images.hard.test: Input should be a valid dictionary; got 2; write keys with"),
    ("images/hard/test", None, "images.hard.test: .*got None; write a value, or leave the key out"),
    ("images/pool/masks", ["columns", "columns-b"], "pool.masks: expected one mask, .* got columns, col"),
    (
        "images/hard/masks",
        ["columns-b"],
        "hard.masks: pool is judged under columns-b, and a slice may be hard by that draw alone; measure one",
    ),
    ("images/control/masks", ["columns", "columns-b"], "control.masks: pool is judged under columns-b, and"),
    (
        "masks/columns",
        COLUMNS | {"kind": "random", "draw": 1},
        "hard.masks: pool is judged under columns-b, the same as columns, and a slice may be",
    ),
    ("images/control/test/control_of", "pool", "control.test.control_of: .*got 'pool'; allowed: hard"),
    ("images/control/test/control_of", "hrd", "control.test.control_of: .*got 'hrd'; did you mean 'hard'"),
    ("images/control/test/count", 3, "control.test.count: hard has 2 slices, got 3; lower it"),
    ("images/control/test/fewer", True, "images.control.test.fewer: unknown key; allowed: control_of, count"),
    (
        "images/abdomen/validation",
        {"hardest_of": "pool", "by": ["tikhonov"], "count": 1},
        "images.abdomen.validation.hardest_of: unknown key",
    ),
    (
        "images/hard/validation",
        {"dataset": "abdomen-data", "split": "validation", "count": 1},
        "images.hard.validation: slices of another source are tested alone; leave it out, and name the",
    ),
    ("images/hard/methods", ["zero-fild"], "images.hard.methods: 'zero-fild' is not defined; did you mean"),
    ("images/hard/methods", [], "images.hard.methods: .*got an empty list; leave the key out for all"),
    (
        "methods/tikhonov/sources",
        ["abdomen"],
        "hard.test.by: 'tikhonov' is not applied to pool under columns-b; leave it out",
    ),
    (
        "images/control/methods",
        ["zero-filled", "tv"],
        "images.control.methods: 'tv' is not defined; allowed: tikhonov, zero-filled",
    ),
]


@pytest.mark.parametrize(("path", "value", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place_and_how_to_mend_it(path, value, message):
    with pytest.raises(ConfigError, match=message):
        load(edited(path, value), classes=False)


def test_shifts_are_no_way_around_another_draw():
    values = hard_slices()
    del values["masks"]["columns-b"]["tuned_on"]
    values["images"]["hard"]["methods"].append("tikhonov")
    shift = {"domain": "abdomen@columns", "source": "hard", "mask": "columns-b"}
    with pytest.raises(ConfigError, match=r"hard.masks: pool is judged under columns-b, and a slice may be"):
        load(values | {"shifts": {"a": shift}}, classes=False)


def test_a_method_that_a_source_names_and_that_is_not_applied_to_it_is_told():
    values = hard_slices()
    values["methods"]["zero-filled"]["sources"] = ["abdomen", "pool", "hard"]
    with pytest.raises(ConfigError, match=r"images.control.methods: 'zero-filled' is not applied to control"):
        load(values, classes=False)


def test_patients_of_a_pool_are_not_those_that_its_methods_have_seen():
    values = edited("images/pool/test", {"dataset": "abdomen-data", "split": "validation", "count": 4})
    with pytest.raises(ConfigError) as caught:
        load(values, classes=False)
    told = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in told] == ["images.pool.test"]
    values["images"]["hard"]["methods"] = values["images"]["control"]["methods"] = ["tikhonov"]
    with pytest.raises(ConfigError) as caught:
        load(values, classes=False)
    told = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0].strip() for line in told] == [
        f"images.{name}.test" for name in ("pool", "hard", "control")
    ]


def written_scores(folder, method, numbers, **failed):
    """A score file of clean reconstructions on the pool, by SSIM and by `loss`, 1 − SSIM; its path."""
    rows = []
    for position, number in enumerate(numbers):
        row = empty_row() | {"source": "pool", "mask": "b", "method": method, "position": position}
        row |= {"kind": "reconstruction", "factor": 1.0, "tuned": "clean", "domain": "d"}
        row |= {"failed": failed.get(f"at_{position}", "")}
        clean = row | {"ssim": number, "loss": 1 - number}
        # What is perturbed does not count, nor what is tuned for a higher level.
        worst = row | {"ssim": 0.0, "loss": 1.0}
        rows += [clean, worst | {"attack": "noise"}, worst | {"tuned": "0.08", "level": 0.08}]
    path = folder / f"{method}.csv"
    path.write_text(scores_csv(rows, ["loss"]))
    assert len(read_scores([path])) == len(rows)
    return str(path)


def test_the_stages_select_by_clean_reconstructions(tmp_path, capsys):
    snr = [10.0, 20.0, 30.0, 40.0, 11.0, 21.0, 31.0, 41.0]
    entries = [
        Entry("d", "0012", "p", "brain", slice=place, scale=each, noise=1.0, accepted=True)
        for place, each in enumerate(snr)
    ]
    pool = to_frame(entries).rename_axis("position").reset_index()
    pool.to_csv(tmp_path / "pool.csv", index=False)
    ssim = [0.9, 0.4, 0.9, 0.3, 0.9, 0.9, 0.1, 0.9]
    scores = [
        written_scores(tmp_path, "zero-filled", ssim),
        written_scores(tmp_path, "tikhonov", [*ssim, 0.0], at_6="no convergence"),
    ]
    selection = {"by": ["zero-filled", "tikhonov"], "quantity": "ssim", "count": 9, "fewer": True}
    inputs = {"pool": str(tmp_path / "pool.csv"), "scores": scores}
    outputs = {"slices": str(tmp_path / "hard.csv")}
    select_hardest.main(inputs, outputs, {"selection": selection | {"count": 2}, "metric": None})
    told = capsys.readouterr().out
    assert "0012, slice 6: left out, no number of tikhonov" in told
    assert "2 of 8 slices, of 1 volumes; ssim from 0.3, the hardest, to 0.4" in told
    hard = read_catalogue(tmp_path / "hard.csv")
    assert hard[["slice", "position", "difficulty", "volume"]].to_numpy().tolist() == [
        [3, 0, 0.3, "0012"],
        [1, 1, 0.4, "0012"],
    ]
    select_control.main(
        {"pool": inputs["pool"], "hard": str(tmp_path / "hard.csv")},
        {"slices": str(tmp_path / "control.csv")},
        {"selection": {"count": 3}},
    )
    told = capsys.readouterr().out
    assert "only 2 slices for 3 positions" in told
    assert "median 0.0367, largest 0.0488; 0 pairs of unknown noise" in told
    control = read_catalogue(tmp_path / "control.csv")
    assert control["slice"].tolist() == [7, 5]
    # By a metric of the config, of which little is good.
    lower = {"class": words("metric")["nmse"], "arguments": {}}
    select_hardest.main(inputs, outputs, {"selection": selection | {"quantity": "loss"}, "metric": lower})
    told = capsys.readouterr().out
    assert "only 3 slices for 9 positions, which the config allows" in told
    assert "loss from 0.7, the hardest, to 0.1" in told
    assert read_catalogue(tmp_path / "hard.csv")["slice"].tolist() == [3, 1, 0]


def test_the_plan_judges_the_pool_under_its_own_mask_alone(tmp_path):
    config = written(tmp_path, hard_slices())
    target = "results/tiny/measurements/control/columns/test/1.h5"
    jobs = jobs_to_run(tmp_path, config, [target])
    sets = sorted((rule, wildcards["source"]) for rule, wildcards in jobs if rule.startswith("select"))
    assert sets == [
        ("select_control", "control"),
        ("select_hardest", "hard"),
        ("select_slices", "abdomen"),
        ("select_slices", "pool"),
    ]
    measured = {
        (wildcards["source"], wildcards["mask"], wildcards["part"])
        for rule, wildcards in jobs
        if rule == "measure_scan"
    }
    assert measured == {
        ("control", "columns", "test"),
        ("pool", "columns-b", "test"),
        ("abdomen", "columns", "validation"),
    }
    judged = {(wildcards["method"], wildcards["domain"]) for rule, wildcards in jobs if rule == "score"}
    assert judged == {("zero-filled", "abdomen@columns"), ("tikhonov", "abdomen@columns")}
    assert sum(rule == "reconstruct" for rule, _ in jobs) == 10


@pytest.mark.slow
def test_hard_slices_and_their_control_are_reconstructed_as_others_are(tmp_path):
    values = hard_slices()
    config = written(tmp_path, values)
    targets = [
        f"results/tiny/scores/zero-filled/abdomen@columns/{name}/columns.csv" for name in ("hard", "control")
    ]
    done = snakemake(tmp_path, *targets, "--cores", "2", "--configfile", config)
    assert done.returncode == 0, done.stdout
    pool, hard, control = (
        read_catalogue(tmp_path / SETS / name / "test.csv") for name in ("pool", "hard", "control")
    )
    scores = tmp_path / "results/tiny/scores"
    numbers = read_scores(scores.glob("*/abdomen@columns/pool/columns-b.csv"))
    mean = numbers.groupby("position")["ssim"].mean()
    assert len(mean) == len(pool) == 4
    assert hard["hash"].tolist() == pool["hash"].iloc[mean.nsmallest(2).index].tolist()
    assert hard["difficulty"].tolist() == mean.nsmallest(2).tolist()
    assert not set(control["hash"]) & set(hard["hash"])
    found = read_scores([tmp_path / target for target in targets])
    assert found.groupby("source")["position"].apply(list).to_dict() == {"hard": [0, 1], "control": [0, 1]}
    with h5py.File(tmp_path / "results/tiny/measurements/hard/columns/test/0.h5") as file:
        assert file.attrs["hash"] == hard["hash"].iloc[0]
    again = snakemake(tmp_path, *targets, "-n", "--configfile", config)
    assert "Nothing to be done" in again.stdout
