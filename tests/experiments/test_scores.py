"""Score files: text stays text, and what is chosen from them."""

import math

import pandas as pd
import pytest

from mrilib.experiments.columns import COLUMNS, NUMBERS
from mrilib.experiments.scores import (
    clean_scores,
    lowest_tuned,
    own_scores,
    read_scores,
    scores_csv,
    summarise_scores,
    with_usual_domains,
)
from mrilib.metrics.quantities import ARTIFACTS, QUALITY, QUANTITIES
from mrilib.metrics.statistics import summarise
from tests.experiments.frames import clean, peak


def test_what_was_text_comes_back_as_text(tmp_path):
    names = ["0012", "12", "012", "NA", "nan", "None", "1e5", "True", 'a,"b"\nc', "", "ℓ1"]
    rows = [peak(1.5, patient=name, method=name, source=name, failed=name, attack=name) for name in names]
    (tmp_path / "scores.csv").write_text(scores_csv(rows), encoding="utf-8")
    found = read_scores([tmp_path / "scores.csv"])
    for column in ("patient", "method", "source", "failed", "attack"):
        assert found[column].tolist() == names
    assert found["patient"].nunique() == len(names)
    assert found["amplification"].tolist() == [1.5] * len(names)
    assert found["ssim"].isna().all()
    assert found["weaker_than"].tolist() == [""] * len(names)
    assert found["through_adjoint"].dtype == bool
    assert found["position"].dtype == int


def test_files_without_rows_and_without_columns(tmp_path):
    (tmp_path / "none.csv").write_text(scores_csv([]))
    (tmp_path / "some.csv").write_text(scores_csv([peak(2.0)]))
    frame = read_scores([tmp_path / "none.csv", tmp_path / "some.csv"])
    assert frame["amplification"].tolist() == [2.0]
    assert frame["simulated"].dtype == bool
    assert read_scores([]).empty
    (tmp_path / "old.csv").write_text("source,patient\na,1\n")
    with pytest.raises(
        ValueError, match=r"old\.csv: expected a score file, got none of the columns \['mask'"
    ):
        read_scores([tmp_path / "old.csv"])


def test_usual_domains_have_no_name():
    rows = [peak(1, domain=name) for name in ("set@mask", "other@mask", "set@else")]
    frame = pd.DataFrame(rows)
    assert with_usual_domains(frame)["domain"].tolist() == ["", "other@mask", "set@else"]
    usual = {"set": {"mask": "other@mask"}}
    assert with_usual_domains(frame, usual)["domain"].tolist() == ["set@mask", "", "set@else"]


def test_an_attack_called_clean_is_an_attack():
    frame = pd.DataFrame([clean(0.01), peak(2.0, attack="clean", relative_error=0.5)])
    assert own_scores(frame)["relative_error"].tolist() == [0.5]
    found = clean_scores(frame)
    assert found[["attack", "level", "relative_error"]].to_numpy().tolist() == [["", 0.01, 0.01]]


def test_clean_scores_are_of_what_each_level_started_from():
    rows = [clean(0.1, tuned="0.01", level=0.01), clean(0.2, tuned="0.04", level=0.04)]
    rows += [peak(1, level=0.04, tuned="0.04"), peak(1, level=0.04, tuned="0.04", attack="b")]
    rows += [clean(0.3, method="other"), peak(1, method="other", made_for="m")]
    found = clean_scores(pd.DataFrame(rows))
    assert found[["method", "level", "relative_error"]].to_numpy().tolist()[:1] == [["m", 0.04, 0.2]]
    # Nothing was made for the other method.
    assert found["method"].tolist() == ["m", "other"]
    assert math.isnan(found["level"].iloc[1])


def test_the_reconstruction_of_the_lowest_level_stands_for_a_method():
    rows = [
        clean(0.1, tuned="0.04", level=0.04),
        clean(0.2, tuned="0.01", level=0.01),
        clean(0.3, position=1),
    ]
    rows += [clean(0.4, tuned="0.01", level=0.01, position=1), peak(1.0)]
    assert lowest_tuned(pd.DataFrame(rows))["relative_error"].tolist() == [0.2, 0.3]


def test_summaries_are_resampled_by_patient_and_count_what_is_missing():
    values = [1.0, 2.0, 4.0, 8.0]
    rows = [peak(value, position=index, patient=f"p{index // 2}") for index, value in enumerate(values)]
    rows += [peak(math.nan, position=5, failed="no convergence"), peak(math.inf, position=6)]
    rows[1]["weaker_than"] = "spike"
    rows[2]["weaker_than_transfer"] = "spike"
    (found,) = summarise_scores(pd.DataFrame(rows), "amplification", by=["source"], seed=3).to_dict("records")
    expected = summarise(values, groups=["p0", "p0", "p1", "p1"], seed=3)
    assert [found[key] for key in ("mean", "sd", "low", "high", "n")] == list(vars(expected).values())
    assert (found["missing"], found["flagged"], found["median"]) == (2, 2, 3.0)


def test_a_method_without_amplification_misses_none():
    rows = [peak(math.nan, coils=4), peak(math.nan, coils=4, failed="no convergence", severity=math.nan)]
    frame = pd.DataFrame(rows)
    (found,) = summarise_scores(frame, "amplification", by=["method"], seed=0).to_dict("records")
    assert (found["n"], found["missing"]) == (0, 0)
    (found,) = summarise_scores(frame, "severity", by=["method"], seed=0).to_dict("records")
    assert (found["n"], found["missing"]) == (1, 1)
    through = frame.assign(through_adjoint=True)
    (found,) = summarise_scores(through, "amplification", by=["method"], seed=0).to_dict("records")
    assert (found["n"], found["missing"]) == (0, 2)


def test_a_method_that_returns_magnitudes_misses_no_residual():
    frame = pd.DataFrame([peak(1.0, output="magnitude"), peak(1.0, output="magnitude", failed="no step")])
    (found,) = summarise_scores(frame, "data_residual", by=["method"], seed=0).to_dict("records")
    assert (found["n"], found["missing"]) == (0, 0)
    (found,) = summarise_scores(
        frame.assign(output="complex"), "data_residual", by=["method"], seed=0
    ).to_dict("records")
    assert (found["n"], found["missing"]) == (0, 2)


def test_every_reported_quantity_is_scored():
    assert {*ARTIFACTS, *QUALITY} == set(QUANTITIES)
    assert set(QUANTITIES) <= set(NUMBERS) <= set(COLUMNS)
    assert all(QUANTITIES[name].axis for name in ARTIFACTS)
    assert all(QUANTITIES[name].column for name in QUALITY)
