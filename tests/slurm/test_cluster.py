"""The workflow on a real SLURM, through the executor plugin and the profile that users have."""

import re
import signal

import pytest

from tests.slurm.conftest import Checkout

pytestmark = pytest.mark.slurm

ATTACK = "results/tiny/attacks/{}/ellipses@radial-40/ellipses/radial-40/0.h5"
LOG = "results/tiny/logs/attacks/{}/ellipses@radial-40/ellipses/radial-40/0.log"


def stopping(search, name):
    """A method whose job stops before its second level, once."""
    return {
        "reconstructor": "mrilib.reconstructors.linear:ZeroFilled",
        "search": f"faults:{search}",
        "search_arguments": {"notes": name},
    }


def check_that_it_went_on(checkout, method):
    """The last job of a method found what the one that was stopped had finished."""
    log = (checkout.folder / LOG.format(method)).read_text()
    # Found: the first level's attack.
    assert log.splitlines()[-1] == "1 units computed, 1 found"


@pytest.fixture(scope="module")
def killed(cluster, tmp_path_factory):
    """A run whose jobs are killed in three ways, beside the next test: a time limit takes a minute."""
    checkout = Checkout(tmp_path_factory.mktemp("killed"))
    methods = {"cancelled": "Waiting", "overtime": "Waiting", "hungry": "Hungry"}
    checkout.configure(**{name: stopping(search, name) for name, search in methods.items()})
    # On no GPU, so that all three and another run have room.
    attack = {"gpu": 0, "runtime": 20, "mem_mb": "attempt * 1500"}
    checkout.site(**{"set-resources": {"attack": attack}})
    with checkout.snakemake(*map(ATTACK.format, methods)) as process:
        for method in ("cancelled", "overtime"):
            checkout.until(process, "a unit is done", (checkout.folder / method / "reached").exists)
        cluster.command("scancel", checkout.jobs("attack", "cancelled")[0]["JobId"])
        # Cut short only now, so that a busy machine reaches that unit.
        cluster.command(
            "scontrol", "update", f"JobId={checkout.jobs('attack', 'overtime')[0]['JobId']}", "TimeLimit=1"
        )
        yield checkout, process
    checkout.cancel()


def test_a_machine_with_its_own_slurm_is_left_as_it_is(cluster, monkeypatch, tmp_path):
    (tmp_path / "slurm.conf").write_text("ClusterName=theirs\n")
    monkeypatch.setattr(cluster, "CONFIG", tmp_path)
    for action in (cluster.start, cluster.stop):
        with pytest.raises(cluster.ClusterError, match=r"slurm\.conf is not ours"):
            action()
    assert [path.name for path in tmp_path.iterdir()] == ["slurm.conf"]


def test_a_second_start_changes_nothing(cluster):
    before = [(cluster.STATE / f"{name}.pid").read_text() for name in cluster.DAEMONS]
    cluster.start()
    assert [(cluster.STATE / f"{name}.pid").read_text() for name in cluster.DAEMONS] == before


def test_a_whole_run(checkout, killed):
    # Of the tables and figures, which need no cluster, one of each.
    results = checkout.folder / "results/tiny"
    table, figure = results / "tables/table-1.md", results / "figures/transfer-amplification.pdf"
    with checkout.snakemake(*(str(path.relative_to(checkout.folder)) for path in (table, figure))) as process:
        checkout.completed(process)
    assert "TV" in table.read_text()
    assert figure.exists()
    jobs = checkout.jobs()
    # One tuning; reconstruction, attack and transfer of two methods.
    assert len(jobs) == 7
    assert {(job["JobState"], job["TresPerJob"]) for job in jobs} == {("COMPLETED", "gres:gpu:1")}
    logs = [*(results / "logs/attacks").rglob("*.log"), *(results / "logs/transfer").rglob("*.log")]
    first = [log.read_text().splitlines()[0] for log in logs]
    assert len(first) == 4
    assert all(re.fullmatch(r"host \S+, SLURM job \d+, CUDA_VISIBLE_DEVICES [01]", line) for line in first)


def test_killed_jobs_are_repeated_and_go_on_from_their_units(killed):
    checkout, process = killed
    checkout.completed(process)
    assert [job["JobState"] for job in checkout.jobs("attack", "cancelled")] == ["CANCELLED", "COMPLETED"]
    assert [job["JobState"] for job in checkout.jobs("attack", "overtime")] == ["TIMEOUT", "COMPLETED"]
    first, second = checkout.jobs("attack", "hungry")
    assert "Exceeded job memory limit" in checkout.slurm_log(first)
    assert [first["MinMemoryNode"], second["MinMemoryNode"]] == ["1500M", "3000M"]
    for method in ("cancelled", "overtime", "hungry"):
        check_that_it_went_on(checkout, method)


def test_an_interrupted_run_leaves_no_jobs_and_goes_on(checkout, cluster):
    checkout.configure(waiting=stopping("Waiting", "waiting"))
    with checkout.snakemake(ATTACK.format("waiting")) as process:
        checkout.until(process, "a unit is done", (checkout.folder / "waiting/reached").exists)
        process.send_signal(signal.SIGINT)
        # The plugin wakes up for its end when it would next have asked for the state of its jobs.
        assert process.wait(200) != 0
    cluster.wait_for("no job is left", lambda: cluster.command("squeue", "--noheader") == "", seconds=10)
    assert [job["JobState"] for job in checkout.jobs("attack")] == ["CANCELLED"]
    assert not (checkout.folder / ATTACK.format("waiting")).exists()
    with checkout.snakemake(ATTACK.format("waiting")) as process:
        checkout.completed(process)
    check_that_it_went_on(checkout, "waiting")


def test_an_edit_in_slurm_reaches_the_jobs(checkout):
    text = checkout.shipped
    commented = re.search(r"^# set-resources:\n(# .*\n)+", text, re.MULTILINE)[0]
    text = text.replace(commented, re.sub("^# ", "", commented, flags=re.MULTILINE))
    checkout.profile.write_text(text.replace("  # slurm_partition: gpu", "  slurm_partition: main"))
    checkout.site()
    tuned = "results/tiny/tuning/tv/ellipses@radial-40.json"
    with checkout.snakemake(ATTACK.format("zero-filled"), tuned) as process:
        # The attack comes after its reconstruction.
        checkout.until(process, "the attack is submitted", lambda: checkout.jobs("attack"))
    (attack,), (tune, *_) = checkout.jobs("attack"), checkout.jobs("tune")
    names = ("Partition", "MinMemoryNode", "TimeLimit", "TresPerJob")
    assert [attack[name] for name in names] == ["short", "6000M", "01:30:00", "gres:gpu:a100:1"]
    assert [tune[name] for name in names] == ["main", "8000M", "04:00:00", "gres:gpu:1"]


def test_a_job_that_sees_none_of_its_gpus_stops(checkout):
    target = ATTACK.format("zero-filled")
    with checkout.snakemake(target, "--retries", "0", MRI_ROBUSTNESS_ALLOW_CPU="") as process:
        assert process.wait(300) != 0
    # The first job that asks for a GPU.
    log = (checkout.folder / LOG.format("zero-filled").replace("attacks", "reconstructions")).read_text()
    assert re.search(r"RuntimeError: SLURM gave this job GPU [01] on \S+, and torch \S+ sees none; see", log)


def test_a_lost_node_comes_back(checkout, cluster):
    checkout.configure(waiting=stopping("Waiting", "waiting"))
    with checkout.snakemake(ATTACK.format("waiting")) as process:
        checkout.until(process, "a unit is done", (checkout.folder / "waiting/reached").exists)
        cluster.stop_daemon("slurmd")
        checkout.until(process, "the node is lost", lambda: cluster.node_state().startswith("down"))
        cluster.start_daemon("slurmd")
        checkout.completed(process)
    assert [(job["JobState"], job["Restarts"]) for job in checkout.jobs("attack")] == [("COMPLETED", "1")]
    check_that_it_went_on(checkout, "waiting")
