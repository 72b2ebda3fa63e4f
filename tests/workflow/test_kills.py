"""Runs that are killed at random moments, and one whose disk is full: nothing is damaged, nothing differs.

MRI_ROBUSTNESS_KILLS sets the number of kills.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys

import h5py
import pandas as pd
import psutil
import pytest
import torch

from tests.workflow.runs import ROOT, environment, tiny, written

KILLS = int(os.environ.get("MRI_ROBUSTNESS_KILLS", "3"))
# Columns and keys of times.
TIMES = {"seconds", "samples_per_second"}


def command(folder, config, *arguments):
    start = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*start, "--configfile", config, "--cores", "2", "--rerun-incomplete", *arguments]


def killed(folder, config, seconds):
    """Start a run and kill it with all its jobs after so many seconds; whether it was still running."""
    with (folder / "killed.log").open("a") as log:
        process = subprocess.Popen(
            command(folder, config), cwd=folder, env=environment(ROOT), stdout=log, stderr=subprocess.STDOUT
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
        if stage in ("units", "logs", "benchmarks", "sources") or not path.is_file():
            continue
        if re.fullmatch(r"tables/costs\..*|accepted.log", name):
            continue
        if path.suffix == ".h5":
            with h5py.File(path) as file:
                file.visititems(lambda key, item, name=name: found.update(contents(name, key, item)))
        elif path.suffix == ".pt":
            state = torch.load(path, weights_only=True)
            found[name] = json.dumps(str(jsonable(state)))
        elif path.suffix == ".csv":
            frame = pd.read_csv(path)
            found[name] = frame.drop(columns=TIMES & set(frame.columns)).to_csv()
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
def test_runs_killed_at_random_moments_end_like_an_undisturbed_one(tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    configs = {}
    for folder in (whole, broken):
        folder.mkdir()
        configs[folder] = written(folder, tiny(methods=["tv", "tira"], attacks=["peak", "gaussian"]))
    subprocess.run(command(whole, configs[whole]), cwd=whole, env=environment(ROOT), check=True)
    draw, count = random.Random(1), 0
    for _ in range(20 * KILLS):
        if count == KILLS:
            break
        if killed(broken, configs[broken], draw.uniform(2.0, 9.0)):
            count += 1
            assert_nothing_is_damaged(broken / "results")
        else:
            # It came to its end before: begin anew.
            shutil.rmtree(broken / "results")
        unlock = command(broken, configs[broken], "--unlock")
        subprocess.run(unlock, cwd=broken, env=environment(ROOT), check=True)
    assert count == KILLS
    result = subprocess.run(
        command(broken, configs[broken]), cwd=broken, env=environment(ROOT), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert_nothing_is_damaged(broken / "results")
    first, second = numbers(whole / "results/tiny"), numbers(broken / "results/tiny")
    assert first.keys() == second.keys()
    assert [key for key in first if first[key] != second[key]] == []


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
def test_a_full_disk_is_told_and_work_goes_on_after_space_is_made(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(results)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        config = written(tmp_path, tiny(methods=["tv"], attacks=["peak"]))
        result = subprocess.run(
            command(tmp_path, config), cwd=tmp_path, env=environment(ROOT), capture_output=True, text=True
        )
        assert result.returncode != 0
        assert "No space left on device" in result.stdout + result.stderr
        assert_nothing_is_damaged(results)
        grow = ["mount", "-o", "remount,size=200m", str(results)]
        subprocess.run(grow, check=True)
        result = subprocess.run(
            command(tmp_path, config), cwd=tmp_path, env=environment(ROOT), capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
        assert_nothing_is_damaged(results)
    finally:
        subprocess.run(["umount", "--lazy", str(results)], check=False)
