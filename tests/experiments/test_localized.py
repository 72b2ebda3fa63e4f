import math

import numpy as np
import pandas as pd
import pytest

from mrilib.attacks.perturb import Subject, carried_unit, clean_unit, perturbed_unit
from mrilib.attacks.spike import spike
from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.experiments import curves
from mrilib.experiments.localized import (
    Order,
    clean_scores,
    table_records,
    transfer_records,
)
from mrilib.experiments.published import published_amplification
from mrilib.experiments.scoring import score_attacks
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.sparse import TotalVariation
from mrilib.report.tables import localized_table, render
from mrilib.store.arrays import Group, read_group, write_groups

SIZE, LEVEL = 32, 0.05
PEAK = {"kind": "localized", "objective": "peak", "grid": 2, "disk_radius": 5.0, "select": "clean"}


def subject(method):
    image = ellipse_phantoms(1, size=SIZE, seed=3)[0]
    return Subject(image, MaskedFourier(mask=radial_mask(SIZE, 12)), method, LEVEL, None, 1.0, [0, "set", 0])


def stored(tmp_path, method, attacks):
    about = subject(method)
    identity = {"source": "set", "position": 0, "patient": "p", "method": "m", "mask": "radial"}
    groups = {"": Group({"image": about.image.numpy()}, identity), f"clean/{LEVEL:g}/1": clean_unit(about)}
    groups |= {
        f"perturbed/{name}/{LEVEL:g}/1": perturbed_unit(about, attack) for name, attack in attacks.items()
    }
    write_groups(tmp_path / "0.h5", groups)
    return score_attacks(tmp_path / "0.h5")


def test_the_zero_filled_control_reaches_its_known_worst_case(tmp_path):
    attack = PEAK | {"search": "mrilib.attacks.pgd:GradientAscent"}
    (row,) = stored(tmp_path, ZeroFilled(), {"peak": attack})
    about = subject(ZeroFilled())
    kspace = about.operator.forward(about.image)
    radius = LEVEL * float(kspace.norm())
    assert row["amplification"] == pytest.approx(1.0, rel=1e-5)
    assert row["severity"] == pytest.approx(radius * math.sqrt(about.operator.samples) / SIZE, rel=1e-4)
    assert row["artifact_norm"] == pytest.approx(radius / float(about.image.norm()), rel=1e-4)


def test_an_attack_beats_noise_of_its_norm_and_its_scores_are_consistent(tmp_path):
    attack = PEAK | {"search": "mrilib.attacks.coupled:CoupledAscent"}
    rows = stored(tmp_path, TotalVariation(weight=0.01), {"peak": attack, "gaussian": {"kind": "gaussian"}})
    peak, noise = sorted(rows, key=lambda row: row["attack"], reverse=True)
    assert (peak["attack"], noise["attack"]) == ("peak", "gaussian")
    assert peak["severity"] > 2 * noise["severity"]
    assert peak["amplification"] > noise["amplification"]
    assert peak["clean_error"] == noise["clean_error"] < peak["relative_error"]
    # |ρ| bounds the difference of moduli
    assert peak["amplification_of_moduli"] <= peak["amplification"] * (1 + 1e-6)
    assert peak["failed"] == ""


def test_a_unit_that_does_not_converge_is_missing_and_counted(tmp_path):
    method = TotalVariation(weight=0.01, tolerance=1e-9, max_steps=2)
    about = subject(method)
    (row,) = stored(tmp_path, method, {"gaussian": {"kind": "gaussian"}})
    assert "max_steps" in row["failed"]
    assert math.isnan(row["severity"])
    assert "max_steps" in clean_unit(about).attributes["failed"]
    good = row | {"failed": "", "severity": 2.0, "position": 1, "patient": "q"}
    frame = pd.DataFrame([row, good])
    (record,) = records(frame, "severity")
    assert (record.value, record.n, record.missing) == (2.0, 1, 1)
    assert "2.00 (1 missing)" in render(localized_table([record], labels={}, note=""))["md"]
    assert len(clean_scores(frame)) == 1


ORDER = Order({"m": "tv", "other": None}, {"radial": 40}, ["peak"], ["set"])


def records(frame, quantity):
    return table_records(frame, quantity=quantity, order=ORDER, source_hash="", seed=0)


def frame_of(values, attack="peak", level=0.01):
    rows = [
        {"source": "set", "position": index, "patient": str(index), "method": "m", "mask": "radial"}
        | {
            "attack": attack,
            "level": level,
            "failed": "",
            "made_for": "m",
            "weaker_than": "",
            "amplification": value,
            "relative_error": value / 100,
        }
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def test_perturbations_of_other_methods_are_scored_and_tabulated_apart(tmp_path):
    rows = stored(tmp_path, ZeroFilled(), {"peak": PEAK | {"search": "mrilib.attacks.pgd:GradientAscent"}})
    about = subject(ZeroFilled())
    rival = spike(about.operator, (8, 8), about.target.radius)
    carried = carried_unit(about, rival)
    carried.arrays["perturbation"] = rival.numpy()
    own = read_group(tmp_path / "0.h5", f"perturbed/peak/{LEVEL:g}/1")
    own.attributes["weaker_than_transfer"] = "other"
    groups = {f"carried/other/peak/{LEVEL:g}/1": carried, f"perturbed/peak/{LEVEL:g}/1": own}
    write_groups(tmp_path / "transfer.h5", groups)
    first, second = score_attacks(tmp_path / "0.h5", tmp_path / "transfer.h5")
    assert rows[0]["weaker_than"] == ""
    for name in ("severity", "amplification", "made_for", "row", "column"):
        assert first[name] == rows[0][name]
    assert first["weaker_than"] == "other"
    assert (second["made_for"], second["method"], second["weaker_than"]) == ("other", "m", "")
    assert second["amplification"] == pytest.approx(1.0, rel=1e-5)
    assert second["severity"] == pytest.approx(carried.attributes["severity"], rel=1e-6)

    frame = pd.DataFrame([first, second])
    (record,) = records(frame, "severity")
    assert (record.value, record.flagged) == (pytest.approx(first["severity"]), 1)
    assert "†1" in render(localized_table([record], labels={}, note=""))["md"]
    found = transfer_records(frame, quantity="severity", order=ORDER, source_hash="", seed=0)
    assert [each.row["made_for"] for each in found] == ["m", "other"]
    assert [each.value for each in found] == pytest.approx([first["severity"], second["severity"]])
    matrix = curves.transfer_matrix(found, source="set", mask="radial", attack="peak")
    assert matrix[["made_for", "reconstructed_by"]].to_numpy().tolist() == [["m", "m"], ["other", "m"]]
    errors = transfer_records(frame, quantity="relative_error", order=ORDER, source_hash="", seed=0)
    scaled = curves.transfer_matrix(errors, source="set", mask="radial", attack="peak")
    assert scaled["mean"].tolist() == pytest.approx([100 * each.value for each in errors])
    assert curves.transfer_matrix([], source="set", mask="radial", attack="peak").empty


def test_tables_show_mean_sd_interval_n_and_the_papers_value():
    (record,) = records(frame_of([5.0, 6.0, 7.0, 6.0]), "amplification")
    assert (record.value, record.n, record.paper, record.paper_sd) == (6.0, 4, 5.64, 2.24)
    text = render(localized_table([record], labels={"m": "TV"}, note="A note."))
    assert "6.00 ± 0.82 [" in text["md"]
    assert "5.64 ± 2.24 (n = 50)" in text["md"]
    assert "TV" in text["md"]
    assert r"$\pm$" in text["tex"]
    assert "1 \\%" in text["tex"]
    assert "A note." in text["tex"]
    assert "6.0" in text["csv"]


def test_the_papers_value_stands_only_beside_its_own_quantity():
    (noise,) = records(frame_of([1.0, 2.0], attack="gaussian"), "amplification")
    assert math.isnan(noise.paper)
    (error,) = records(frame_of([1.0, 2.0]), "relative_error")
    assert math.isnan(error.paper)
    assert published_amplification("tv", 80, 0.10) == (2.99, 0.11)
    assert math.isnan(published_amplification("tv", 41, 0.10)[0])
    assert math.isnan(published_amplification(None, 40, 0.10)[0])


def test_curves_are_in_per_cent_and_carry_their_reference_lines():
    frame = curves.amplification_curves(
        records(frame_of([5.0, 7.0]), "amplification"), attack="peak", spikes={"radial": 5.99}
    )
    assert frame.loc[0, ["level", "mean", "spike"]].tolist() == [1.0, 6.0, 5.99]
    tuning = {
        "levels": {"0.01": {"weights": [0.1, 0.2], "errors": [[0.01, 0.03], [0.02, 0.04]], "chosen": 0.1}}
    }
    chosen = curves.weight_choice({"radial": tuning}, seed=0)
    assert chosen["mean"].tolist() == pytest.approx([2.0, 3.0])
    assert chosen["chosen"].tolist() == [True, False]
    scores = pd.DataFrame(
        {
            "attack": ["disk-5", "peak", "global"],
            "source": "s",
            "position": 0,
            "severity": 1.0,
            "amplification": 2.0,
            "artifact_norm": 3.0,
        }
    )
    assert curves.radius_study(scores)["radius"].tolist() == [5.0, 0.0, math.inf]


def test_the_noise_and_the_feature_of_figure_1_have_the_same_norm():
    from mrilib.experiments.pictures import noise_and_feature

    image = ellipse_phantoms(1, size=64, seed=3)[0].numpy()
    noisy, feature, (row, column) = noise_and_feature(image, level=0.1, feature_radius=2.0, seed=0)
    for changed in (noisy, feature):
        assert np.linalg.norm(changed - image) == pytest.approx(0.1 * np.linalg.norm(image), rel=1e-6)
    added = feature - image
    assert added[row, column] > 0.1
    assert (np.abs(added) > 1e-6).sum() == 13
