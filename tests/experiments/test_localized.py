import math

import numpy as np
import pandas as pd
import pytest

from mrilib.attacks.perturb import Subject, clean_unit, perturbed_unit
from mrilib.data.ellipses import ellipse_phantoms
from mrilib.data.masks import radial_mask
from mrilib.experiments import curves
from mrilib.experiments.localized import clean_scores, score_attacks, table_records
from mrilib.experiments.published import published_amplification
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.reconstructors.sparse import TotalVariation
from mrilib.report.tables import localized_table, render
from mrilib.store.arrays import Group, write_groups

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


def records(frame, quantity):
    return table_records(
        frame,
        quantity=quantity,
        lines={"radial": 40},
        published={"m": "tv"},
        published_sources=["set"],
        attacks=["peak"],
        source_hash="",
        seed=0,
    )


def frame_of(values, attack="peak", level=0.01):
    rows = [
        {"source": "set", "position": index, "patient": str(index), "method": "m", "mask": "radial"}
        | {
            "attack": attack,
            "level": level,
            "failed": "",
            "amplification": value,
            "relative_error": value / 100,
        }
        for index, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


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
