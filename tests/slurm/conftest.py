"""The cluster, and copies of the checkout that its jobs run from."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.slurm import cluster as machine
from tests.workflow.runs import tiny

ROOT = Path(__file__).parents[2]
# What a user's checkout has and a run reads.
COPIED = ("Snakefile", "config.yaml", "envs", "mrilib", "profiles", "rules", "slurm", "workflow_scripts")
# What the tests change in slurm/: this cluster keeps no accounts, and a job here takes seconds.
CHANGES = {
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 1,
    "latency-wait": 5,
    # Snakemake does not end before the last timespan has passed.
    "max-jobs-per-timespan": "60/1s",
}


@pytest.fixture(scope="session")
def cluster():
    """The module of the cluster, which runs until the session ends."""
    reason = machine.unavailable()
    if reason:
        pytest.skip(f"no SLURM here: {reason}")
    machine.start()
    yield machine
    machine.stop()


class Checkout:
    """A frozen copy of the checkout, from whose root `snakemake --profile slurm` is called."""

    def __init__(self, folder):
        self.folder = folder
        for name in COPIED:
            if (ROOT / name).is_dir():
                # With compiled kernels, which take many seconds to compile.
                shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
            else:
                shutil.copy(ROOT / name, folder / name)
        shutil.copytree(Path(__file__).parent / "own", folder / "own")
        self.profile = folder / "slurm/config.v9+.yaml"
        self.shipped = self.profile.read_text()
        self.log = folder / "snakemake.log"
        self.configure()
        self.site()

    def site(self, **changes):
        """Change keys of the site's settings, beside what all tests change."""
        values = yaml.safe_load(self.profile.read_text()) | CHANGES
        self.profile.write_text(yaml.safe_dump(values | changes))

    def configure(self, **methods):
        """Write a config of seconds: an image of 32² pixels, TV and zero-filled, or these methods instead."""
        values = tiny()
        values["methods"] = methods or {name: values["methods"][name] for name in ("tv", "zero-filled")}
        values["images"].pop("head")
        values["attacks"] = {"peak": values["attacks"]["peak"]}
        values["figures"] |= {"examples": [{"source": "ellipses"}], "methods": [*methods] or ["tv"]}
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(values))

    @contextlib.contextmanager
    def snakemake(self, *arguments, **environment):
        """Run `snakemake --profile slurm` in the background; it is gone when the context ends."""
        command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--profile", "slurm"]
        paths = {"PYTHONPATH": str(self.folder / "own"), "OMP_NUM_THREADS": "1"}
        with self.log.open("w") as log:
            process = subprocess.Popen(
                [*command, *arguments],
                cwd=self.folder,
                env=os.environ | paths | {"MRI_ROBUSTNESS_ALLOW_CPU": "1"} | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)

    def until(self, process, what, condition):
        """Wait for something that happens while Snakemake runs."""
        machine.wait_for(what, lambda: condition() or process.poll() is not None)
        assert process.poll() is None, self.log.read_text()

    def completed(self, process, seconds=600):
        """Wait for Snakemake to end well; if it does not, say what it printed."""
        assert process.wait(seconds) == 0, self.log.read_text()

    def jobs(self, rule="", method=""):
        """What `scontrol show job` says of the jobs of this checkout, or of a rule and a method, in order."""
        shown = machine.command("scontrol", "--oneliner", "show", "job")
        jobs = [dict(word.partition("=")[::2] for word in line.split()) for line in shown.splitlines()]
        wanted = f"rule_{rule}_wildcards_{method}" if rule else "rule_"
        mine = [
            job
            for job in jobs
            if job.get("WorkDir") == str(self.folder) and job["Comment"].startswith(wanted)
        ]
        return sorted(mine, key=lambda job: int(job["JobId"]))

    def cancel(self):
        """End what jobs are left."""
        machine.command("scancel", *[job["JobId"] for job in self.jobs()])

    def slurm_log(self, job):
        """What a job printed outside its own log."""
        return Path(job["StdOut"]).read_text()


@pytest.fixture
def checkout(cluster, tmp_path):
    made = Checkout(tmp_path)
    yield made
    made.cancel()
