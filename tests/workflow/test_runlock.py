import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from tests.workflow.runs import ROOT, copied, environment, snakemake, tiny, written
from workflow_scripts import runlock

MEASUREMENT = "results/tiny/measurements/ellipses/radial-40/test/0.h5"


@pytest.fixture
def locked(tmp_path):
    """`locked(**changes)`: a run locked by this process, or by what the changes say; the lock."""
    lock = tmp_path / runlock.NAME

    def write(**changes):
        with runlock.held(tmp_path):
            content = json.loads(lock.read_text())
        lock.write_text(json.dumps(content | changes))
        return lock

    return write


def test_a_lock_is_held_for_a_block_and_refuses_others(tmp_path):
    lock = tmp_path / "results/demo" / runlock.NAME
    with runlock.held(lock.parent):
        assert json.loads(lock.read_text())["process"] == os.getpid()
        with pytest.raises(runlock.RunInUse, match=rf"process {os.getpid()}, since .* remove .*{lock}"):
            runlock.take(lock.parent)
    assert not lock.exists()


def test_a_lock_of_another_machine_is_left(locked):
    lock = locked(host="elsewhere", process=1, started="0")
    with pytest.raises(runlock.RunInUse, match="on elsewhere, process 1"):
        runlock.take(lock.parent)
    assert lock.exists()


@pytest.mark.parametrize("changes", [{"process": 2**22 + 1}, {"started": "1"}])
def test_a_lock_of_a_dead_process_is_taken_over(locked, capsys, changes):
    lock = locked(**changes)
    with runlock.held(lock.parent):
        assert json.loads(lock.read_text())["process"] == os.getpid()
    assert f"{lock}: taken over from" in capsys.readouterr().out
    assert list(lock.parent.iterdir()) == []


def test_a_lock_that_cannot_be_read_is_left(tmp_path):
    (tmp_path / runlock.NAME).write_text("")
    with pytest.raises(runlock.RunInUse, match="cannot be read"):
        runlock.take(tmp_path)


def start(checkout, *arguments):
    """A scheduler, read up to its first job: it holds the lock then."""
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "1", *arguments],
        cwd=checkout,
        env=environment(checkout),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("Execute"):
            break
    return process, text


def rest(process, text):
    return text + process.communicate()[0]


def test_a_lock_goes_when_its_process_ends_elsewhere(tmp_path):
    # Snakemake leaves the folder of --directory before the process ends.
    program = (
        "import os; from workflow_scripts.runlock import take; "
        f"take('results/demo'); print(os.listdir('results/demo')); os.chdir('{tmp_path.parent}')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=environment(ROOT),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([runlock.NAME])
    assert os.listdir(tmp_path / "results/demo") == []


@pytest.fixture
def checkouts(tmp_path):
    """Two checkouts that share their results."""
    first = copied(tmp_path / "first")
    written(first, tiny(methods=["tv"], attacks=["peak"]))
    second = shutil.copytree(first, tmp_path / "second")
    (first / "results").mkdir()
    (second / "results").symlink_to(first / "results")
    return first, second


@pytest.mark.slow
def test_a_second_scheduler_is_refused(checkouts):
    first, second = checkouts
    lock = first / "results/tiny" / runlock.NAME
    process, text = start(first, MEASUREMENT)
    process.send_signal(signal.SIGSTOP)  # or it may be done before the second one looks
    assert lock.exists()
    refused = rest(*start(second, MEASUREMENT, "--forcerun", "measure_image"))
    assert "results/tiny is in use by another scheduler" in refused
    assert f"on {socket.gethostname()}, process {process.pid}, since" in refused
    assert "Finished jobid" not in refused
    assert "Traceback" not in refused
    planned = rest(*start(second, MEASUREMENT, "-n"))
    assert "This was a dry-run" in planned or "Nothing to be done" in planned
    process.send_signal(signal.SIGCONT)
    done = rest(process, text)
    assert process.returncode == 0, done
    assert (first / MEASUREMENT).exists()
    assert not lock.exists()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_scheduler_that_is_stopped_leaves_the_run_free(checkouts, how):
    first, second = checkouts
    lock = first / "results/tiny" / runlock.NAME
    process, text = start(first, MEASUREMENT)
    process.send_signal(how)
    done = rest(process, text)
    assert lock.exists() == (how == signal.SIGKILL), done
    following, text = start(second, MEASUREMENT, "--forcerun", "measure_image")
    done = rest(following, text)
    assert following.returncode == 0, done
    assert ("taken over from" in done) == (how == signal.SIGKILL)
    assert not lock.exists()


@pytest.mark.slow
def test_a_run_in_another_folder_leaves_no_lock(tmp_path):
    config = written(tmp_path, tiny(methods=["tv"], attacks=["peak"]))
    done = snakemake(tmp_path, MEASUREMENT, "--cores", "1", "--configfile", config)  # with --directory
    assert done.returncode == 0, done.stdout
    assert (tmp_path / MEASUREMENT).exists()
    assert not (tmp_path / "results/tiny" / runlock.NAME).exists()


@pytest.mark.slow
def test_a_failed_run_is_free_again(checkouts):
    first, _ = checkouts
    script = first / "workflow_scripts/stages/measure_image.py"
    script.write_text(script.read_text().replace("    import torch\n", "    1 / 0\n"))
    process, text = start(first, MEASUREMENT)
    done = rest(process, text)
    assert process.returncode != 0, done
    assert not (first / "results/tiny" / runlock.NAME).exists()
