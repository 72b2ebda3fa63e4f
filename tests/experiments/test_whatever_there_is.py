"""Tables and figures of what there is: of any part of a run, and of one in which everything failed."""

import json
import math

import numpy as np
import pytest

from mrilib.experiments.pictures import noise_and_feature
from mrilib.experiments.scores import scores_csv
from mrilib.metrics.quantities import QUANTITIES
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.store.arrays import Group, read_group, write_groups
from mrilib.store.records import read_records
from mrilib.store.tables import read_table
from tests.experiments.frames import clean, peak
from tests.experiments.scenes import ASCENT, PEAK, Stored, phantom, scan
from workflow_scripts.stages import (
    attack_figures,
    curve_figures,
    experiment,
    perturbed_panel,
    quality_figure,
    transfer_matrix,
    transfer_panel,
)

KINDS = "mrilib.attacks.kinds"
LOCALIZED = {"class": f"{KINDS}.localized:Localized", "arguments": {}}
NOISE = {"class": f"{KINDS}.gaussian:Gaussian", "arguments": {}}
RADIAL = {"class": "mrilib.data.sampling.radial:Radial", "kind": "radial", "lines": 40}
QUALITY = {"ssim": 0.9, "ssim_slice": 0.9, "psnr": 30.0, "nmse": 0.01}
PLACES = [{"position": position, "patient": f"p{position}"} for position in (0, 1)]


def images(*, attacks=("peak",), levels=(0.01, 0.04), methods=("m", "other"), places=PLACES, **changes):
    """Rows of two methods on two images: clean, attacked, and given each other's perturbations."""
    rows = []
    for place in places:
        for method in methods:
            about = place | {"method": method} | changes
            rows.append(clean(0.02 + 0.01 * place["position"], **QUALITY | about))
            for attack in attacks:
                kind = {"kind": "gaussian"} if attack == "white" else {}
                for level in levels:
                    one = about | kind | {"attack": attack, "level": level, "accuracy": 1e-3}
                    value = 2.0 + place["position"]
                    rows.append(peak(value, **one))
                    others = [each for each in methods if each != method and attack != "white"]
                    rows += [peak(1.0, **one | {"made_for": other}) for other in others]
    return rows


SCAN = {"source": "knee", "mask": "columns", "domain": "knee@columns", "coils": 4, "simulated": True}
# Rows of scores, and the attacks of the run.
RUNS = {
    "everything": (images(attacks=("peak", "white")), {"peak": LOCALIZED, "white": NOISE}),
    "noise alone": (images(attacks=("white",)), {"white": NOISE}),
    "localized attacks alone": (images(), {"peak": LOCALIZED}),
    "no attacks": (images(attacks=()), {}),
    "attacks of which nothing was run": (images(attacks=()), {"peak": LOCALIZED}),
    "one method": (images(methods=("m",)), {"peak": LOCALIZED}),
    "one image": (images(places=PLACES[:1]), {"peak": LOCALIZED}),
    "one level": (images(levels=(0.01,)), {"peak": LOCALIZED}),
    "one of each": (images(places=PLACES[:1], levels=(0.01,), methods=("m",)), {"peak": LOCALIZED}),
    "one patient": (images(patient="p"), {"peak": LOCALIZED}),
    "equal images": (images(severity=1.0, amplification=2.0, relative_error=0.1), {"peak": LOCALIZED}),
    "all failed": (
        [
            row | dict.fromkeys(QUANTITIES, math.nan) | {"failed": "max_steps"}
            for row in images(attacks=("peak", "white"))
        ],
        {"peak": LOCALIZED, "white": NOISE},
    ),
    "scans": (images(**SCAN, through_adjoint=True), {"peak": LOCALIZED}),
    "scans through networks": (images(**SCAN, amplification=math.nan), {"peak": LOCALIZED}),
    "scans without attacks": (images(attacks=(), **SCAN), {}),
    "nothing": ([], {"peak": LOCALIZED}),
}
EXPERIMENTS = {
    "quality": {"class": "mrilib.experiments.quality:Quality", "arguments": {}},
    "volumes": {"class": "mrilib.experiments.volume_quality:VolumeQuality", "arguments": {}},
    "table-1": {"class": "mrilib.experiments.table_1:Table1", "arguments": {}},
    "radius": {"class": "mrilib.experiments.radius_study:RadiusStudy", "arguments": {"attack": "radii"}},
    "weight": {"class": "mrilib.experiments.weight_study:WeightStudy", "arguments": {"attacks": ["radii"]}},
    "effort": {"class": "mrilib.experiments.effort_study:EffortStudy", "arguments": {"attack": "radii"}},
    "hypotheses": {
        "class": "mrilib.experiments.amplification_hypotheses:AmplificationHypotheses",
        "arguments": {"attack": "peak"},
    },
    **{
        name: {"class": "mrilib.experiments.attacks:Attacks", "arguments": {"quantity": name}}
        for name in ("amplification", "severity", "relative_error")
    },
    **{
        f"transfer-{name}": {
            "class": "mrilib.experiments.transfer:Transfer",
            "arguments": {"quantity": name},
        }
        for name in ("amplification", "relative_error")
    },
}
DRAWN = ("radius", "weight", "effort")


# Those whose figures are drawn in the fast tests; it takes seconds each.
QUICK = {"noise alone", "no attacks", "one of each", "all failed", "nothing"}


@pytest.fixture
def run(request, tmp_path):
    rows, attacks = RUNS[request.param]
    (tmp_path / "scores.csv").write_text(scores_csv(rows))
    return tmp_path, rows, attacks


def experiment_of(folder, name, attacks):
    outputs = {kind: str(folder / f"{name}.{kind}") for kind in ("csv", "md", "tex")}
    outputs |= {"records": str(folder / f"{name}.json")}
    outputs |= {"pdf": str(folder / f"{name}.pdf")} if name in DRAWN else {}
    known = {
        "methods": {"m": "tv", "other": None},
        "masks": {"mask": RADIAL, "columns": {"kind": "random", "acceleration": 4}},
        "attacks": attacks
        | ({"radii": LOCALIZED} if name in DRAWN else {})
        | ({"peak": LOCALIZED} if name == "hypotheses" else {}),
        "sources": ["set", "knee"],
        "published_sources": ["set"],
        "labels": {"m": "TV"},
    }
    params = {"experiment": EXPERIMENTS[name], "metrics": {}, "run": known}
    params |= {"usual": {}, "code": "abc", "seed": 1}
    experiment.main({"scores": [str(folder / "scores.csv")]}, outputs, params)
    return read_records(outputs["records"])


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("run", RUNS, indirect=True)
def test_every_experiment_has_its_records_and_its_table(run, name):
    folder, rows, attacks = run
    found = experiment_of(folder, name, attacks)
    text = (folder / f"{name}.md").read_text()
    assert "nan" not in text.lower()
    assert "inf" not in text.lower().replace("inside", "")
    tabled = [each for each in found if name != "quality" or QUANTITIES[each.quantity].in_quality_table]
    assert len(read_table(folder / f"{name}.csv", {})) == len(tabled)
    assert (folder / f"{name}.tex").stat().st_size
    failed = bool(rows) and all(row["failed"] for row in rows)
    for record in found:
        assert (record.n == 0) is (failed or math.isnan(record.value))
        # An interval is there or it is not: none has no length.
        assert math.isnan(record.low) == math.isnan(record.high)
        assert math.isnan(record.low) or record.low < record.high
    if name == "quality":
        assert bool(found) is bool(rows)


@pytest.mark.parametrize(
    "run",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in RUNS],
    indirect=True,
)
def test_every_figure_of_the_run_is_drawn(run):
    folder, rows, attacks = run
    inputs = {"scores": [str(folder / "scores.csv")], "records": str(folder / "amplification.json")}
    experiment_of(folder, "amplification", attacks)
    tuned = {"weights": [0.1, 0.2], "errors": [[0.1], [0.2]], "chosen": 0.1}
    (folder / "tuning.json").write_text(json.dumps({"tuned": {"clean": tuned} if attacks else {}}))
    names = {"methods": ["m", "other"], "labels": {"m": "TV"}, "usual": {}, "seed": 1}
    shown = {"error": {"quantity": "relative_error", "attacks": None}}
    few = [*attacks][:1]
    shown |= {name: {"quantity": name, "attacks": few} for name in ("ssim", "psnr", "severity")}
    outputs = {name: str(folder / f"{name}.pdf") for name in (*shown, "amplification", "weight")}
    params = names | {"attacks": attacks, "masks": {"mask": RADIAL}, "attack": next(iter(attacks), None)}
    params |= {"tuned_masks": ["mask"], "tuning_title": "TV", "curves": shown}
    curve_figures.main(inputs | {"tunings": [str(folder / "tuning.json")]}, outputs, params)
    mask = rows[0]["mask"] if rows else "mask"
    params = names | {"mask": mask, "about": {}, "domain_labels": {}}
    quality_figure.main(inputs, {"pdf": str(folder / "quality.pdf")}, params)
    experiment_of(folder, "transfer-amplification", attacks)
    params = {"quantity": "amplification", "source_name": "set", "mask": "mask"}
    params |= {"attack": next(iter(attacks), "peak"), "methods": ["m", "other"], "labels": {}}
    matrix = {"records": str(folder / "transfer-amplification.json")}
    transfer_matrix.main(matrix, {"pdf": str(folder / "matrix.pdf")}, params)
    for name in (*outputs, "quality", "matrix"):
        assert all((folder / f"{name}.{kind}").stat().st_size for kind in ("pdf", "png"))


@pytest.mark.parametrize("measured", [phantom, scan])
@pytest.mark.parametrize("failing", [(), (0.05,), (0.05, 0.1)])
def test_pictures_of_attacks_that_failed_are_missing(tmp_path, measured, failing):
    stored = Stored(tmp_path, measured(), ZeroFilled())
    files = stored.attacked(peak=PEAK | ASCENT)
    unit = Group(attributes={"failed": "max_steps", "factor": 1.0, "tuned": "clean", "kind": "localized"})
    groups = {}
    for level in (0.05, 0.1):
        one = unit if level in failing else read_group(files[2], "perturbed/peak/0.05/1")
        groups[f"perturbed/peak/{level:g}/1"] = Group(one.arrays, one.attributes | {"level": level})
    write_groups(tmp_path / "attacks.h5", {"": Group(attributes=stored.root)})
    files = stored.with_units(groups, "several.h5")
    inputs = dict(zip(("measurement", "reconstruction", "attacks"), map(str, files), strict=True))
    outputs = {name: str(tmp_path / f"{name}.pdf") for name in ("attack", "levels", "map")}
    params = {"attack": "peak", "level": 0.05, "levels": [0.05, 0.1], "title": "An image"}
    attack_figures.main(inputs | {"transfer": []}, outputs, params)
    lists = {"reconstructions": [inputs["reconstruction"]], "attacks": [inputs["attacks"]]}
    lists |= {"measurement": inputs["measurement"], "transfers": [None]}
    params = {"attack": "peak", "level": 0.05, "methods": ["m"], "labels": {}, "title": "An image"}
    transfer_panel.main(lists, {"pdf": str(tmp_path / "transfer.pdf")}, params)
    params = {"attack": "peak", "level": 0.05, "methods": ["m"], "transferred": [], "labels": {"m": "TV"}}
    params |= {"attacks": {"peak": LOCALIZED}, "mask": "mask", "about": {}}
    together = {"pdf": str(tmp_path / "perturbed.pdf")}
    perturbed_panel.main(lists | {"transfers": []}, together, params)
    for name in (*outputs, "transfer", "perturbed"):
        assert (tmp_path / f"{name}.png").stat().st_size


@pytest.mark.parametrize("size", [8, 24, 64])
def test_noise_and_a_feature_are_drawn_on_images_of_any_size(size):
    image = np.ones((size, size + 1))
    noisy, feature, (row, column) = noise_and_feature(image, level=0.1, feature_radius=3.0, seed=0)
    for other in (noisy, feature):
        assert np.linalg.norm(other - image) == pytest.approx(0.1 * np.linalg.norm(image))
    assert 0 <= row < size
    assert 0 <= column <= size
