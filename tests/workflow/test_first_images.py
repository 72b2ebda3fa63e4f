"""Attacks on the first images of a source alone: no job for the others, and scores of all."""

import pandas as pd
import pytest

from tests.workflow.runs import jobs_to_run, snakemake, tiny, written

METHODS = ("tv", "zero-filled")


def config(folder, **images):
    values = tiny(methods=METHODS, attacks=["peak", "gaussian"])
    values["images"]["ellipses"]["test"] = 3
    for name, count in images.items():
        values["attacks"][name]["images"] = count
    return written(folder, values)


def positions(jobs, rule):
    return sorted((job["method"], int(job["position"])) for name, job in jobs if name == rule)


def test_other_images_have_no_job_of_an_attack(tmp_path):
    jobs = jobs_to_run(tmp_path, config(tmp_path, peak=1, gaussian=2), [])
    everywhere = [(method, position) for method in METHODS for position in range(3)]
    assert positions(jobs, "reconstruct") == everywhere
    assert positions(jobs, "attack") == [each for each in everywhere if each[1] < 2]
    # Noise is given to no other method.
    assert positions(jobs, "transfer") == [each for each in everywhere if each[1] < 1]


@pytest.mark.slow
def test_images_without_attack_are_scored_as_they_are(tmp_path):
    done = snakemake(tmp_path, "--cores", "2", "--configfile", config(tmp_path, peak=1, gaussian=2))
    assert done.returncode == 0, done.stdout
    for method in METHODS:
        (path,) = tmp_path.glob(f"results/tiny/scores/{method}/*/ellipses/radial-40.csv")
        scores = pd.read_csv(path, keep_default_na=False)
        found = {position: set(rows["attack"]) for position, rows in scores.groupby("position")}
        assert found == {0: {"", "peak", "gaussian"}, 1: {"", "gaussian"}, 2: {""}}
        assert set(scores[scores["made_for"].ne("") & scores["made_for"].ne(method)]["position"]) == {0}
