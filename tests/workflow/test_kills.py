"""Runs that are killed at random moments, and one whose disk is full: nothing is damaged, nothing differs.

MRI_ROBUSTNESS_KILLS sets the number of kills.
"""

import json
import os
import random
import re
import shutil
import subprocess

import h5py
import pandas as pd
import psutil
import pytest
import torch

from tests.workflow.runs import EVERY_KIND, command, environment, snakemake, tiny, written

KILLS = int(os.environ.get("MRI_ROBUSTNESS_KILLS", "3"))
# What fills a small disk: arrays with their units, and pictures.
FULL = (
    "results/tiny/attacks/tv/ellipses@radial-40/ellipses/radial-40/0.h5",
    "results/tiny/figures/mask-ellipses-0.pdf",
)
# Columns and keys of times.
TIMES = {"seconds", "samples_per_second"}


def killed(folder, arguments, checkout, seconds):
    """Start a run and kill it with all its jobs after so many seconds; whether it was still running."""
    with (folder / "killed.log").open("a") as log:
        process = subprocess.Popen(
            command(folder, *arguments, checkout=checkout),
            cwd=folder,
            env=environment(checkout),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for member in family:
                try:
                    member.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(family)
            process.wait()
            return True
    return False


def assert_nothing_is_damaged(results):
    """Every file under a final name can be read to its end."""
    for path in results.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".pt":
            torch.load(path, weights_only=True)
        elif path.suffix == ".csv":
            assert len(pd.read_csv(path)) > 0
        elif path.suffix in (".png", ".pdf", ".md", ".tex"):
            assert path.stat().st_size > 100, path


def numbers(results):
    """Everything that was computed, times and dates apart: path to content."""
    found = {}
    for path in sorted(results.rglob("*")):
        name = str(path.relative_to(results))
        stage = name.split("/")[0]
        if stage in ("units", "logs", "benchmarks", "code", "receipts") or not path.is_file():
            continue
        # Those of quality show seconds; their records, without these, are compared.
        if re.fullmatch(r"tables/costs\..*|tables/quality\.(md|tex)|accepted.log", name):
            continue
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda key, item, name=name: found.update(contents(name, key, item)))
        elif path.suffix == ".pt":
            state = torch.load(path, weights_only=True)
            found[name] = json.dumps(str(jsonable(state)))
        elif path.suffix == ".csv":
            frame = pd.read_csv(path)
            if "quantity" in frame:
                frame = frame[~frame["quantity"].isin(TIMES)]
            found[name] = frame.drop(columns=TIMES & set(frame.columns)).to_csv()
        elif stage == "records":
            records = json.loads(path.read_text())
            found[name] = json.dumps([each for each in records if each["quantity"] not in TIMES])
        elif not path.name.startswith("."):
            found[name] = path.read_bytes()
    return found


def contents(name, key, item):
    about = {each: value for each, value in item.attrs.items() if each not in TIMES}
    here = {(name, key, "about"): str(sorted(about.items()))}
    if isinstance(item, h5py.Dataset):
        here[name, key] = (item.dtype.str, item.shape, item[()].tobytes())
    return here


def jsonable(state):
    if isinstance(state, torch.Tensor):
        return state.numpy().tobytes().hex()
    if isinstance(state, dict):
        return {key: jsonable(value) for key, value in state.items()}
    return state


@pytest.mark.slow
def test_runs_killed_at_random_moments_end_like_an_undisturbed_one(finished_run, tmp_path):
    checkout, values = finished_run
    arguments = [*EVERY_KIND, "--configfile", written(tmp_path, values), "--cores", "2"]
    draw, count = random.Random(1), 0
    for _ in range(20 * KILLS):
        if count == KILLS:
            break
        if killed(tmp_path, arguments, checkout, draw.uniform(2.0, 9.0)):
            count += 1
            assert_nothing_is_damaged(tmp_path / "results")
        else:
            # It came to its end before: begin anew.
            shutil.rmtree(tmp_path / "results")
        if count < KILLS:
            # What --unlock does, without its start of seconds.
            shutil.rmtree(tmp_path / ".snakemake/locks", ignore_errors=True)
    assert count == KILLS
    for last in ("--unlock", "--rerun-incomplete"):
        result = snakemake(tmp_path, *arguments, last, checkout=checkout)
        assert result.returncode == 0, result.stdout
    assert_nothing_is_damaged(tmp_path / "results")
    first, second = numbers(checkout / "results/tiny"), numbers(tmp_path / "results/tiny")
    # The undisturbed run was asked for more figures.
    only = {key if isinstance(key, str) else key[0] for key in first.keys() - second.keys()}
    assert {name.split("/")[0] for name in only} == {"figures"}
    assert second.keys() <= first.keys()
    assert [key for key in second if first[key] != second[key]] == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_is_told_and_work_goes_on_after_space_is_made(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(results)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        config = written(tmp_path, tiny(methods=["tv"], attacks=["peak"]))
        arguments = [*FULL, "--configfile", config, "--cores", "2"]
        result = snakemake(tmp_path, *arguments)
        assert result.returncode != 0
        assert "No space left on device" in result.stdout
        assert_nothing_is_damaged(results)
        grow = ["mount", "-o", "remount,size=200m", str(results)]
        subprocess.run(grow, check=True)
        result = snakemake(tmp_path, *arguments)
        assert result.returncode == 0, result.stdout
        assert_nothing_is_damaged(results)
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=False)
