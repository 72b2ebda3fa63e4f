"""A SLURM cluster of one node on this machine, for tests: `python tests/slurm/cluster.py start|stop` as root.

It needs Debian's slurm-wlm and munge, and neither systemd nor a GPU: two device nodes stand in for GPUs. Its
own munged, key, logs and state lie in /run/mri-robustness-slurm. Only slurm.conf and gres.conf lie elsewhere,
for the steps of a job look for them in /etc/slurm alone; a machine that already has either is left as it is.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

STATE = Path("/run/mri-robustness-slurm")
CONFIG = Path("/etc/slurm")
MARK = "# Written by tests/slurm/cluster.py of mri-robustness; its `stop` removes this file.\n"
COMMANDS = ("munged", "slurmctld", "slurmd", "scontrol", "sinfo", "sbatch", "srun", "squeue", "scancel")
SOCKET = STATE / "munge/socket"
# In the order in which they start; each writes the file of its process id itself.
DAEMONS = {
    "munged": [
        *("munged", f"--socket={SOCKET}", f"--key-file={STATE}/munge/key", f"--pid-file={STATE}/munged.pid"),
        *(f"--log-file={STATE}/munge/log", f"--seed-file={STATE}/munge/seed"),
    ],
    "slurmctld": ["slurmctld", "-c"],  # -c: no jobs of an earlier cluster
    "slurmd": ["slurmd", "-c"],
}
# More processors than there may be: jobs that wait for something are to run beside each other.
CPUS, GPUS, MODEL = 4, 2, "a100"
# Memory that the node claims, more than every test job asks for.
MEMORY_MB = 16000

# Every process of a job has it in SLURM_CLUSTER_NAME; the daemons are given it too, so that `stop` finds all.
NAME = "mri-robustness-tests"

SLURM_CONF = f"""ClusterName={NAME}
SlurmctldHost={{host}}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={SOCKET},cred_expire=5
SlurmctldPidFile={STATE}/slurmctld.pid
SlurmdPidFile={STATE}/slurmd.pid
SlurmctldLogFile={STATE}/slurmctld.log
SlurmdLogFile={STATE}/slurmd.log
StateSaveLocation={STATE}/slurmctld
SlurmdSpoolDir={STATE}/slurmd
AccountingStorageType=accounting_storage/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
# Kills by memory, without cgroups.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
# Tests wait for these: a killed job's grace, a lost node (cred_expire: and its jobs), jobs seen together.
KillWait=2
SlurmdTimeout=6
SchedulerParameters=batch_sched_delay=1
SlurmdParameters=config_overrides
NodeName={{host}} NodeAddr=127.0.0.1 CPUs={CPUS} RealMemory={MEMORY_MB} Gres=gpu:{MODEL}:{GPUS}
PartitionName=main Default=YES Nodes={{host}}
PartitionName=short Nodes={{host}}
"""


class ClusterError(Exception):
    """The cluster cannot be had here; the message says why."""


def unavailable() -> str | None:
    """Why this machine cannot have the cluster, if it cannot."""
    if os.geteuid() != 0:
        return "not root"
    missing = [name for name in COMMANDS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)}; apt-get install slurm-wlm munge"
    for file in ("slurm.conf", "gres.conf", "cgroup.conf"):
        path = CONFIG / file
        if path.exists() and not path.read_text(errors="replace").startswith(MARK):
            return f"{path} is not ours: this machine has its own SLURM, which stays as it is"
    return None


def start() -> None:
    """Start the cluster, or leave it as it is if it runs.

    Raises:
        ClusterError: if this is not root, a command is missing, the machine has a SLURM of its own, or the
            node does not come up.
    """
    _check_machine()
    if all(_process(name) for name in DAEMONS) and node_state() in ("idle", "mixed", "allocated"):
        return
    stop()
    try:
        _start()
    except (ClusterError, OSError):
        stop()
        raise


def stop() -> None:
    """Cancel every job, end every process that `start` began, and remove every file that it wrote."""
    _check_machine()
    if _process("slurmctld"):
        if not _process("slurmd"):
            start_daemon("slurmd")  # it knows the processes of jobs that outlived it
        command("scancel", "--user=root")
        wait_for("every job is gone", lambda: command("squeue", "--noheader") == "")
    for name in reversed(DAEMONS):
        stop_daemon(name)
    # What is left: without cgroups SLURM loses sight of a process whose parent ended first.
    for process in _processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    for file in ("slurm.conf", "gres.conf"):
        (CONFIG / file).unlink(missing_ok=True)
    shutil.rmtree(STATE, ignore_errors=True)


def start_daemon(name: str) -> None:
    """Start one of the cluster's daemons: each goes to the background by itself."""
    result = subprocess.run(
        DAEMONS[name],
        env=os.environ | {"SLURM_CLUSTER_NAME": NAME},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if result.returncode:
        raise ClusterError(f"{' '.join(DAEMONS[name])}: {result.stderr or result.stdout}")
    wait_for(f"{name} runs", lambda: _process(name) is not None)


def stop_daemon(name: str, number: int = signal.SIGTERM) -> None:
    """End one of the cluster's daemons. Jobs that run outlive slurmd."""
    process = _process(name)
    if process is not None:
        os.kill(process, number)
        wait_for(f"{name} ends", lambda: not _named(process, name))


def node_state() -> str:
    """What SLURM calls the state of the node: idle, mixed, down*, …; empty if nobody answers."""
    return command("sinfo", "--noheader", "--partition=main", "--format=%T")


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 200.0) -> None:
    """Ask until a condition holds.

    Raises:
        ClusterError: if it does not within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"waited {seconds:g} s in vain: {what}; see the logs in {STATE}")
        time.sleep(0.1)


def _start() -> None:
    for folder in (STATE, CONFIG, STATE / "munge", STATE / "slurmctld", STATE / "slurmd"):
        folder.mkdir(parents=True, exist_ok=True)
    key = STATE / "munge/key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    for number in range(GPUS):
        # A device's node, for SLURM counts no other; that of memory's zeros, whose number does no harm.
        os.mknod(STATE / f"gpu{number}", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    host = socket.gethostname().partition(".")[0]
    (CONFIG / "slurm.conf").write_text(MARK + SLURM_CONF.format(host=host))
    (CONFIG / "gres.conf").write_text(f"{MARK}Name=gpu Type={MODEL} File={STATE}/gpu[0-{GPUS - 1}]\n")
    for name in DAEMONS:
        start_daemon(name)
    wait_for("the node is idle", lambda: node_state() == "idle")


def _check_machine() -> None:
    reason = unavailable()
    if reason:
        raise ClusterError(reason)


def command(*words: str) -> str:
    """What a command prints; empty if it fails."""
    result = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return result.stdout.strip() if result.returncode == 0 else ""


def _process(name: str) -> int | None:
    """Process id of a daemon of ours that runs."""
    try:
        process = int((STATE / f"{name}.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return process if _named(process, name) else None


def _processes() -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"SLURM_CLUSTER_NAME={NAME}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


def _named(process: int, name: str) -> bool:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip() == name
    except (FileNotFoundError, ProcessLookupError):
        return False


if __name__ == "__main__":
    actions = {"start": start, "stop": stop}
    if sys.argv[1:] not in ([name] for name in actions):
        sys.exit(f"usage: {sys.argv[0]} start|stop")
    try:
        actions[sys.argv[1]]()
    except ClusterError as error:
        sys.exit(f"cluster.py: {error}")
