"""Records of attacks, their tables, and the data of their curves."""

import math

import numpy as np
import pandas as pd
import pytest

from mrilib.attacks.kinds.base import AttackKind
from mrilib.attacks.kinds.gaussian import Gaussian
from mrilib.attacks.kinds.localized import Localized
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.experiments import curves
from mrilib.experiments.attacks import Attacks
from mrilib.experiments.pictures import noise_and_feature
from mrilib.experiments.published import published_amplification
from mrilib.experiments.quality import Quality
from mrilib.experiments.scores import with_usual_domains
from mrilib.experiments.transfer import Transfer
from mrilib.report import style
from mrilib.report.names import attack_labels
from mrilib.report.tables import render
from mrilib.report.tables_attacks import localized_table
from mrilib.report.tables_records import records_table
from tests.experiments.frames import clean, peak, run_of

ATTACKS = run_of([peak(1.0)]).attacks


def frame_of(values, **changes):
    rows = [peak(value, position=index, patient=str(index), **changes) for index, value in enumerate(values)]
    return with_usual_domains(pd.DataFrame(rows))


def records(frame, quantity="amplification", **known):
    return Attacks(quantity=quantity).records(run_of(frame, **known))


def transferred(frame, quantity="amplification"):
    return Transfer(quantity=quantity).records(run_of(frame))


def test_tables_show_mean_sd_interval_n_and_the_papers_value():
    (record,) = records(frame_of([5.0, 6.0, 7.0, 6.0]))
    assert (record.value, record.n, record.paper, record.paper_sd) == (6.0, 4, 5.64, 2.24)
    assert record.row == {
        "source": "set",
        "mask": "mask",
        "level": 0.01,
        "kind": "localized",
        "attack": "peak",
    }
    assert record.code_hash == "abc"
    found = localized_table([record], quantity="amplification", labels={"m": "TV"}, note="A note.")
    text = render(found)
    assert "6.00 ± 0.82 [" in text["md"]
    assert "5.64 ± 2.24 (n = 50)" in text["md"]
    assert "TV" in text["md"]
    assert r"$\pm$" in text["tex"]
    assert "1 \\%" in text["tex"]
    assert "A note." in text["tex"]
    assert "6.0" in text["csv"]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "gaussian", "attack": "white"},
        {"kind": "gaussian", "attack": "peak"},
        {"kind": "global", "attack": "peak"},
        {"source": "head"},
        {"domain": "other@mask"},
        {"method": "other"},
        {"mask": "columns"},
        {"level": 0.03},
    ],
)
def test_the_papers_value_stands_only_beside_its_own_quantity(changes):
    (record,) = records(frame_of([1.0, 2.0], **changes))
    assert math.isnan(record.paper)


def test_the_papers_value_is_of_amplifications_over_the_whole_image():
    (error,) = records(frame_of([1.0, 2.0]), "severity")
    assert math.isnan(error.paper)
    attacks = {"peak": Localized(region="object").about}
    (inside,) = records(frame_of([1.0, 2.0]), attacks=attacks)
    assert math.isnan(inside.paper)
    assert published_amplification("tv", 80, 0.10) == (2.99, 0.11)
    assert math.isnan(published_amplification("tv", 41, 0.10)[0])
    assert math.isnan(published_amplification(None, 40, 0.10)[0])


def test_a_method_that_was_tuned_elsewhere_says_so():
    frame = pd.concat([frame_of([1.0, 2.0]), frame_of([3.0, 4.0], domain="other@mask")])
    first, second = records(frame)
    assert ("domain" in first.row, second.row["domain"]) == (False, "other@mask")
    table = localized_table(
        [first, second],
        quantity="amplification",
        labels={},
        note="",
        domain_labels={"other@mask": "the other set"},
    )
    assert table.wide["tuned on"].tolist() == ["—", "the other set"]


@pytest.mark.parametrize("name", ["localized", "peak", "tv", "clean", "published", "table-1"])
def test_the_kind_decides_and_no_name(name):
    """Noise may be called as an attack, and an attack as noise."""
    attacks = {name: Gaussian().about, "gaussian": Localized().about}
    rows = [peak(1.0, kind="gaussian", attack=name), peak(9.0, attack="gaussian")]
    found = records(with_usual_domains(pd.DataFrame(rows)), attacks=attacks)
    assert {each.row["attack"]: math.isfinite(each.paper) for each in found} == {
        name: False,
        "gaussian": True,
    }
    assert attack_labels(attacks)[name].startswith("Gaussian noise")
    assert attack_labels(attacks)["gaussian"].startswith("localized attack (one pixel)")
    assert style.signs(name, attacks).filled is False
    assert style.signs("gaussian", attacks).filled is True


@pytest.mark.parametrize(
    "word", ["localized", "global", "gaussian", "peak", "disk", "clean", "reconstruction"]
)
def test_somebody_elses_kind_is_none_of_ours_whatever_its_word(word):
    class Own(AttackKind):
        def attack(self, target, conditions):
            raise NotImplementedError

        def measure(self, artifact):
            raise NotImplementedError

    Own.word = word
    attacks = {"mine": Own().about}
    rows = [clean(0.01), peak(2.0, kind=word, attack="mine", relative_error=0.5)]
    frame = with_usual_domains(pd.DataFrame(rows))
    (found,) = records(frame, attacks=attacks)
    assert math.isnan(found.paper)
    assert attack_labels(attacks)["mine"] == "mine"
    assert style.signs("mine", attacks) not in [*style.SORTS.values(), style.CLEAN_SIGNS]
    # A kind called as the rows of clean data is not one of them.
    errors = records(frame, "relative_error", attacks=attacks)
    assert [(each.row["attack"], each.n, each.value) for each in errors] == [("", 1, 0.01), ("mine", 1, 0.5)]
    quality = [each for each in Quality().records(run_of(frame)) if each.quantity == "relative_error"]
    assert [(each.value, each.n) for each in quality] == [(0.01, 1)]
    drawn = curves.level_curves(frame, seed=0)
    assert drawn[["attack", "mean"]].to_numpy().tolist() == [["", 1.0], ["mine", 50.0]]


def test_the_papers_masks_are_ours_and_not_those_called_so():
    own = {"mask": {"class": "mine.masks:radial", "kind": "radial", "lines": 40}}
    (found,) = records(frame_of([1.0, 2.0]), masks=own)
    assert math.isnan(found.paper)


def test_an_attack_called_clean_has_its_own_column():
    rows = [clean(0.01), peak(2.0, attack="clean", relative_error=0.5)]
    found = records(with_usual_domains(pd.DataFrame(rows)), "relative_error")
    assert [(each.row["kind"], each.n, each.value) for each in found] == [
        ("reconstruction", 1, 0.01),
        ("localized", 1, 0.5),
    ]
    table = localized_table(found, quantity="relative_error", labels={}, note="")
    assert table.wide.columns.tolist()[-2:] == ["clean", "clean (localized)"]
    assert table.wide.iloc[0, -2:].tolist() == ["1.00", "50.00"]


RESERVED = ["clean", "reconstruction", "all", "total", "spike", "noise", "gaussian", "transfer", "paper", "n"]
RESERVED += ["attack", "made for", "value", "method", "level", "nan", "None", "factor", "weight", "image"]


@pytest.mark.parametrize("name", RESERVED)
def test_no_name_of_a_users_collides_with_ours(name):
    """One image under one attack: whatever anything is called, no mean is over more than one."""
    place = {"source": name, "mask": name, "method": name, "domain": f"{name}@{name}"}
    rows = [clean(0.01, **place)]
    rows += [peak(2.0, **place, attack=name, relative_error=0.5)]
    rows += [peak(3.0, **place | {"method": "other"}, attack=name, relative_error=0.7)]
    rows += [peak(4.0, **place | {"method": "other"}, attack=name, made_for=name, relative_error=0.9)]
    frame = with_usual_domains(pd.DataFrame(rows))
    known = {"attacks": {name: Localized().about}, "methods": {name: None, "other": None}}
    run = run_of(frame, **known, labels={name: name, "other": "other"})
    errors = Attacks(quantity="relative_error").records(run)
    assert [(each.method, each.row["attack"], each.n, each.value) for each in errors] == [
        (name, "", 1, 0.01),
        (name, name, 1, 0.5),
        ("other", name, 1, 0.7),
    ]
    table = localized_table(errors, quantity="relative_error", labels={}, note="", attacks=run.attacks)
    assert table.wide.iloc[0].tolist()[-2:] == ["1.00", "50.00"]
    assert len(set(table.wide.columns)) == len(table.wide.columns)
    assert [each.value for each in Transfer(quantity="severity").records(run)] == [2.0] * 3
    quality = [each for each in Quality().records(run) if each.quantity == "relative_error"]
    assert [(each.method, each.n, each.value) for each in quality] == [(name, 1, 0.01)]
    shown = curves.level_curves(frame, seed=0)
    assert shown["n"].tolist() == [1] * 3
    long = table.long
    assert long["method"].tolist() == [name, name, "other"]
    assert long["value"].tolist() == [0.01, 0.5, 0.7]


def test_patients_stay_apart_and_a_failed_unit_is_counted():
    frame = frame_of([1.0, 3.0, 8.0]).assign(patient=["0012", "12", "012"])
    assert math.isfinite(records(frame)[0].low)
    frame.loc[1, ["failed", "amplification", "severity"]] = ["max_steps", math.nan, math.nan]
    (record,) = records(frame, "severity")
    assert (record.value, record.n, record.missing) == (2.0, 2, 1)
    table = localized_table([record], quantity="severity", labels={}, note="")
    # Two equal values say nothing of their spread.
    assert "| 2.00 ± 0.00 (1 missing)" in render(table)["md"]
    assert math.isnan(record.low)


def test_an_artifact_that_may_be_rounding_is_marked_and_explained():
    frame = frame_of([13.4, 2.7, 2.6]).assign(severity=[1e-6, 0.4, 0.5], accuracy=1e-3, weaker_than="")
    frame["severity_of_moduli"] = [1e-6, 0.009, 0.5]
    wanted = {"amplification": 1, "severity": 1, "amplification_of_moduli": 2, "relative_error": 0}
    for quantity, count in wanted.items():
        (found,) = records(frame.assign(amplification_of_moduli=1.0), quantity)
        assert found.doubtful == count
    (found,) = records(frame)
    for name, noted in (("amplification", True), ("relative_error", False)):
        (record,) = records(frame, name)
        table = localized_table([record], quantity=name, labels={}, note="A note.")
        text = render(table)
        assert ("‡1" in text["md"]) is noted
        assert ("less than ten times what the method is accurate to" in text["md"]) is noted
        assert (r"$^\ddagger$1" in text["tex"]) is noted
        assert table.long["doubtful"].tolist() == [int(noted)]
    shown = records_table([found], title="", labels={}, note="A note.")
    assert "‡1" in shown.wide["m"].item()
    assert "‡k: for k images" in shown.note
    # Nothing is known of the accuracy, nothing is doubted.
    assert records(frame.assign(accuracy=math.nan))[0].doubtful == 0
    # What failed is missing, and not doubtful as well.
    failed = frame.assign(failed=["max_steps", "", ""])
    assert [(each.doubtful, each.missing) for each in records(failed)] == [(0, 1)]


def test_without_attacks_there_are_tables_without_rows():
    frame = with_usual_domains(pd.DataFrame([clean(0.01), clean(0.03, position=1, patient="q")]))
    for quantity in ("amplification", "severity"):
        assert records(frame, quantity) == []
    assert transferred(frame, "severity") == []
    (record,) = records(frame, "relative_error")
    table = localized_table([record], quantity="relative_error", labels={}, note="")
    assert table.wide.iloc[0].tolist()[:5] == ["set", "m", "mask", "—", "2"]


def test_only_noise_makes_a_table():
    frame = frame_of([1.0, 2.0], kind="gaussian", attack="white")
    table = localized_table(records(frame), quantity="amplification", labels={}, note="", attacks=ATTACKS)
    assert table.wide.columns.tolist() == ["images", "method", "mask", "level", "n", "white"]


def test_transfer_has_records_of_all_pairs():
    own = [peak(2.0), peak(3.0, weaker_than_transfer="other")]
    carried = [peak(1.0, made_for="other"), peak(1.5, method="other")]
    alone = [peak(9.0, attack="white", kind="gaussian")]
    frame = with_usual_domains(
        pd.DataFrame([own[1], *carried, peak(4.0, method="other", made_for="m"), *alone])
    )
    found = transferred(frame)
    assert [(each.row["made_for"], each.method, each.value, each.flagged) for each in found] == [
        ("m", "m", 3.0, 1),
        ("m", "other", 4.0, 0),
        ("other", "m", 1.0, 0),
        ("other", "other", 1.5, 0),
    ]
    matrix = curves.transfer_matrix(found, source="set", mask="mask", attack="peak")
    assert matrix[["made_for", "reconstructed_by"]].to_numpy().tolist()[:2] == [["m", "m"], ["m", "other"]]
    assert matrix["doubtful"].tolist() == [0] * 4
    doubted = curves.transfer_matrix(
        transferred(frame.assign(accuracy=1.0)), source="set", mask="mask", attack="peak"
    )
    assert doubted["doubtful"].tolist() == [1] * 4
    errors = transferred(frame, "relative_error")
    scaled = curves.transfer_matrix(errors, source="set", mask="mask", attack="peak")
    assert scaled["mean"].tolist() == pytest.approx([100 * each.value for each in errors])
    assert curves.transfer_matrix([], source="set", mask="mask", attack="peak").empty


def test_curves_are_in_per_cent_and_carry_their_reference_lines():
    spikes = {("set", "mask"): 5.99}
    found = records(frame_of([5.0, 7.0]).assign(accuracy=[1.0, 0.0]))
    frame = curves.amplification_curves(found, attack="peak", spikes=spikes)
    assert frame.loc[0, ["level", "mean", "spike", "doubtful"]].tolist() == [1.0, 6.0, 5.99, 1]
    none = curves.amplification_curves(
        records(frame_of([math.nan], coils=4)),
        attack="peak",
        spikes=curves.spikes_of(frame_of([1.0], coils=4)),
    )
    assert none.empty
    found = {"weights": [0.1, 0.2], "errors": [[0.01, 0.03], [0.02, 0.04]], "chosen": 0.1}
    chosen = curves.weight_choice({"mask": {"tuned": {"clean": found, "0.01": found}}}, seed=0)
    assert chosen["mean"].tolist() == pytest.approx([2.0, 3.0] * 2)
    assert chosen["chosen"].tolist() == [True, False] * 2
    assert chosen["level"].tolist() == [0.0, 0.0, 1.0, 1.0]


def test_error_curves_have_the_clean_reconstruction_of_each_level():
    rows = [clean(0.01), peak(2.0, relative_error=0.1), peak(2.0, level=0.04, relative_error=0.2)]
    rows += [clean(0.5, method="alone"), clean(0.9, domain="else")]
    frame = curves.level_curves(with_usual_domains(pd.DataFrame(rows)), seed=0)
    found = frame[["method", "attack", "level", "mean"]].to_numpy().tolist()
    assert found == [
        ["m", "", 1.0, 1.0],
        ["m", "", 4.0, 1.0],
        ["alone", "", 0.0, 50.0],
        ["m", "peak", 1.0, 10.0],
        ["m", "peak", 4.0, 20.0],
    ]


def test_curves_of_other_quantities_have_their_units_and_the_attacks_that_are_asked_for():
    rows = [clean(0.01, ssim=0.9), peak(2.0, ssim=0.5, severity=0.3, level=0.04)]
    rows += [peak(1.0, ssim=0.8, severity=0.1, level=0.04, attack="white", kind="gaussian")]
    rows += [peak(1.0, ssim=0.7, severity=0.2, level=0.04, attack="disk")]
    scores = with_usual_domains(pd.DataFrame(rows))
    few = {"attacks": ["peak", "white"], "seed": 0}
    frame = curves.level_curves(scores, "ssim", **few)
    found = frame[["attack", "level", "mean"]].to_numpy().tolist()
    assert found == [["", 4.0, 0.9], ["peak", 4.0, 0.5], ["white", 4.0, 0.8]]
    # What a perturbation changes is nothing of clean data.
    frame = curves.level_curves(scores, "severity", **few)
    assert frame[["attack", "mean"]].to_numpy().tolist() == [["peak", 0.3], ["white", 0.1]]
    assert curves.level_curves(scores, "severity", seed=0)["attack"].tolist() == ["peak", "white", "disk"]


def test_spikes_are_of_single_coils():
    rows = [peak(1, acceleration=value, mask=mask, coils=coils, position=index)
            for index, (value, mask, coils) in enumerate([(6.1, "a", 0), (6.1, "a", 0), (4.0, "b", 0),
                                                          (5.0, "b", 0), (3.0, "c", 4)])]  # fmt: skip
    assert curves.spikes_of(pd.DataFrame(rows)) == {("set", "a"): 6.1, ("set", "b"): 4.5}


def test_the_noise_and_the_feature_of_figure_1_have_the_same_norm():
    image = ellipse_phantoms(1, size=64, seed=3)[0].numpy()
    noisy, feature, (row, column) = noise_and_feature(image, level=0.1, feature_radius=2.0, seed=0)
    for changed in (noisy, feature):
        assert np.linalg.norm(changed - image) == pytest.approx(0.1 * np.linalg.norm(image), rel=1e-6)
    added = feature - image
    assert added[row, column] > 0.1
    assert (np.abs(added) > 1e-6).sum() == 13
