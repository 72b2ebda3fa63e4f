import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from benchmarks import __main__ as entry
from benchmarks import attack, effort, fft, multicoil_attack_scale, startup, study, summary, tv
from benchmarks.clock import median_seconds
from benchmarks.tv_peers import PEERS
from benchmarks.tv_solvers import Averaged, Implementation, Last, Plain, ReferenceADMM
from mrilib.attacks.searches.base import Round
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.operators.coil_fourier import CoilFourier
from workflow_scripts.config.config import load

COUPLINGS = ("split", "complex", "isotropic")
OURS = (Averaged, Last, Plain, ReferenceADMM)
KINDS = [(coupling, kind) for coupling in COUPLINGS for kind in (*OURS[:3], *PEERS[coupling])]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Tasks of 32×32 pixels, with their optimum."""
    folder = tmp_path_factory.mktemp("optima")
    return {coupling: tv.problem(coupling, size=32, lines=10, folder=folder) for coupling in COUPLINGS}


@pytest.mark.usefixtures("unchecked")  # checks take most of a long loop's time
@pytest.mark.parametrize(("coupling", "kind"), KINDS, ids=lambda part: getattr(part, "name", part))
def test_all_implementations_minimise_our_objective(coupling, kind, tasks):
    if kind not in OURS and not kind.installed():
        pytest.skip(f"{kind.name} is not installed")
    settings = kind.grid[len(kind.grid) // 2]
    running = kind(tasks[coupling], **settings)
    running.to(3000 // running.inner)
    # Rounding in float32 leaves a gap of about 1e-5.
    assert -1e-6 <= tasks[coupling].gap(running.image()) <= 5e-4


class Falling(Implementation):
    """A gap of `1/steps`, with a setting that makes it as many times larger."""

    name = "falling"
    grid = ({"factor": 2.0}, {"factor": 1.0}, {"factor": 4.0})

    def _begin(self):
        self.done = 0

    def _advance(self, steps):
        self.done += steps

    def image(self):
        return torch.tensor(self.settings["factor"] / self.taken, dtype=torch.float64)


class Anew(Falling):
    resumable = False


class Given:
    """A task whose images are gaps."""

    def gap(self, image):
        return float(image)


def test_the_best_setting_is_found():
    assert tv.tuned(Falling, Given()).settings == {"factor": 1.0}


def test_steps_to_a_gap():
    # multiples of five, from where the last gap was reached
    assert tv.steps_to(Falling(Given(), factor=1.0), (1e-1, 1e-2, 1e-3)) == [10, 100, 1000]
    assert tv.steps_to(Falling(Given(), factor=1.0), (1e-2, 1e-5)) == [100, None]
    assert tv.steps_to(Falling(Given(), factor=1.0), (1e-5, 1e-6)) == [None, None]
    found = tv.steps_to(Anew(Given(), factor=1.0), (1e-1, 1e-2, 1e-3))
    assert found == pytest.approx([10, 100, 1000], rel=0.04)
    assert all(steps >= expected for steps, expected in zip(found, [10, 100, 1000], strict=True))


def test_the_optimum_is_kept(tasks, tmp_path, monkeypatch):
    first = tv.problem("split", size=32, lines=10, folder=tmp_path)
    monkeypatch.setattr(tv, "TotalVariation", None)
    assert tv.problem("split", size=32, lines=10, folder=tmp_path).optimum == first.optimum
    assert first.optimum == tasks["split"].optimum


def test_a_row_is_complete_and_summed_up(tasks, tmp_path):
    task = tasks["split"]
    rows = tv.with_ratios(
        [
            tv.row("split", *tv.measured(Averaged, task)),
            tv.row("split", *tv.measured(Plain, task)),
            tv.absent("split", "other", "not installed"),
        ]
    )
    assert rows[0]["ratio to ours"] == 1.0
    assert rows[1]["seconds to 0.0001"] > 0
    assert rows[2]["version"] == "not installed"
    assert len({tuple(row) for row in rows}) == 1
    (tmp_path / "tv.json").write_text(json.dumps({"machine": {"processor": "none"}, "rows": rows}))
    summary.write(tmp_path)
    assert "| split | other | not installed |" in (tmp_path / "summary.md").read_text()
    assert (tmp_path / "summary.png").stat().st_size > 1000
    assert (tmp_path / "summary.pdf").stat().st_size > 1000


def test_fewest_steps_at_a_single_place_that_reach_the_reference():
    rows = [
        {"phantom": 0, "level": 0.01, "search steps": steps, "ratio": ratio, "search ratio": 238230 / steps}
        for steps, ratio in ((12.0, 0.9), (20.0, 1.05), (340.0, 1.2))
    ]
    (found,) = summary.single_place(rows)
    assert found["steps to ratio 1"] == 20
    assert found["ratio then"] == 1.2
    assert found["fraction of the reference's"] == "1/701"


def test_the_reference_attack_is_kept(tmp_path, monkeypatch):
    class Result:
        severity, amplification, stats = 2.0, 3.0, {"solver_steps": 5.0}

    runs = []
    monkeypatch.setattr(attack.Cell, "attacked", lambda *arguments: runs.append(arguments) or Result)
    cell, kept = attack.Cell(0, 0.01, 2), tmp_path / "kept.json"
    assert attack.reference(cell, kept, fresh=False, run=False) is None
    first = attack.reference(cell, kept, fresh=False, run=True)
    assert first["severity"] == 2.0
    assert attack.reference(cell, kept, fresh=False, run=False) == first
    assert len(runs) == 1
    attack.reference(attack.Cell(1, 0.01, 2), kept, fresh=False, run=True)
    attack.reference(cell, kept, fresh=True, run=False)
    assert len(runs) == 3
    assert len(json.loads(kept.read_text())) == 2
    monkeypatch.setattr(attack, "code_hash", lambda: "other")
    assert attack.reference(cell, kept, fresh=False, run=False) is None


@pytest.mark.usefixtures("unchecked")
def test_steps_over_their_pair(monkeypatch):
    monkeypatch.setattr(fft, "STEPS", 4)
    monkeypatch.setattr(fft, "FEW", 2)
    monkeypatch.setattr(fft, "RUNS", 1)
    own = fft.rows_of("torch", 32)
    assert [row["step of"] for row in own] == [*(f"solver, {name}" for name in COUPLINGS), "attack, coupled"]
    other = [row | {"FFT": "fftw", "ms a pair": 2 * row["ms a pair"]} for row in own]
    rows = fft.with_ratios([*own, *other])
    assert len({tuple(row) for row in rows}) == 1
    for row, twin in zip(rows[:4], rows[4:], strict=True):
        assert row["over the best pair"] == twin["over the best pair"] == row["step over its pair"]
        assert twin["step over its pair"] == pytest.approx(row["step over its pair"] / 2)


def test_effort_scales_every_round(monkeypatch):
    given = []

    def attacked(cell, grid, search, objective):
        given.append(search.rounds)
        stats = {"solver_steps": 10.0, "judging_steps": 5.0}
        return SimpleNamespace(severity=2.0 if len(given) == 1 else 2.1, stats=stats)

    monkeypatch.setattr(attack.Cell, "attacked", attacked)
    rows = effort.rows_of(attack.Cell(0, 0.01, 2), (0.5, 2.0))
    default = CoupledAscent().rounds
    assert [stage.steps for stage in given[0]] == [stage.steps // 2 for stage in default]
    assert given[1] == tuple(Round(2 * stage.steps, stage.keep) for stage in default)
    assert rows[1]["more than the row before (%)"] == pytest.approx(5.0)


def test_jobs_and_sizes(tmp_path):
    assert {"attack", "measure_image", "train"} <= set(startup.job_scripts())
    assert "from mrilib.data.measurement import measure_image" in startup.import_lines("measure_image")
    (tmp_path / "a.h5").write_bytes(bytes(2000))
    (tmp_path / "b.json").write_bytes(bytes(10))
    assert startup.sizes(tmp_path) == [
        {"kind": ".h5", "files": 1, "MB": 2e-3},
        {"kind": ".json", "files": 1, "MB": 1e-5},
    ]


def test_attacks_at_scale_count_the_steps_of_whole_attacks():
    assert multicoil_attack_scale.steps_of("gradient") == (200, 64 * 10 + 16 * 20 + 4 * 40)
    assert multicoil_attack_scale.steps_of("coupled") == (200, 64 * 24 + 10 * 50 + 4 * 120 + 2 * 600)
    assert multicoil_attack_scale.steps_of("two-step") == (800, 64 * 400)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "row", ["zero-filled, gradient", "U-net, gradient", "TV isotropic, coupled", "ℓ1 DCT, two-step"]
)
def test_attacks_at_scale_are_searches_that_move(row, monkeypatch, draw):
    assert row in multicoil_attack_scale.ROWS
    maps = draw(2, 32, 36).to(torch.complex64)
    operator = CoilFourier(mask=torch.arange(36) % 3 == 0, coil_maps=maps / maps.abs().square().sum(0).sqrt())
    kspace = operator.forward(draw(32, 36).to(torch.complex64))
    monkeypatch.setattr(multicoil_attack_scale, "simulated", lambda: (kspace, operator))
    monkeypatch.setattr(multicoil_attack_scale, "pin", lambda: None)
    found = multicoil_attack_scale.measured(row)
    assert found["s a step"] > 0
    assert found["peak memory (MB)"] >= found["before (MB)"] > 0
    # A pass forward of the U-net is 0.086 TFLOP, the derivative in k-space as much again.
    assert found["TFLOP a step (counted)"] == (pytest.approx(0.172, rel=0.02) if "U-net" in row else "")


def test_seconds_are_those_of_the_work():
    seconds = median_seconds(lambda: sum(range(200_000)), 3)
    assert 0 < seconds.processor < 1


def test_help_names_every_benchmark(capsys):
    entry.main(["--help"])
    shown = capsys.readouterr().out
    assert "only when named" in shown
    for name in entry.NAMES:
        assert f"  {name} " in shown
        assert importlib.util.find_spec(f"benchmarks.{name}") is not None
    with pytest.raises(SystemExit, match="expected one of tv"):
        entry.main(["nothing"])


def test_the_cost_of_a_study_is_what_its_config_asks_for(monkeypatch):
    config = load(yaml.safe_load(Path("config.paper.multicoil.yaml").read_text()), classes=False)
    monkeypatch.setattr(study, "_network", lambda path, arguments: study.Step(1.0, 0.5, "GPU"))
    label = f"seconds of {study.STEPS} steps on an H100 (estimate)"
    monkeypatch.setattr(study, "cost", lambda name: {label: 7200.0})
    routes = {"zero-filled": ["gradient"], "tikhonov": ["gradient"]}
    routes |= {name: ["coupled", "two-step"] for name in ("tv", "l1-wavelet", "l1-dct", "l1-fourier")}
    measured = {
        (name, route): {"s a step": 1.0 if route != "two-step" else 4.0, "clean (s)": 2.0}
        for name, known in routes.items()
        for route in known
    }
    (places,) = [each for each in config.usual if (each.method, each.source) == ("varnet-0", "knee")]
    found = {row["attack"]: row for row in study.counted(config, places, measured)}
    attacked = {name: row["attacked"] for name, row in found.items()}
    once = {"replicas": 20, "peak": 20 * 2, "disk": 20 * 2, "effort": 3}
    assert attacked == {"global": 50 * 5, "gaussian": 50 * 5} | once
    assert found["global"]["steps"] == 250 * 2 * 200
    assert found["peak"]["steps"] == 40 * (64 * 10 + 16 * 20 + 4 * 40)
    # 16 methods are attacked so, and each is given what the others found.
    assert found["global"]["judged"] == 250 * study.JUDGED
    assert found["global"]["carried"] == 250 * 15
    assert found["global"]["transfer (h)"] == pytest.approx(250 * 15 * 0.5 / 3600)
    assert (found["gaussian"]["judged"], found["gaussian"]["carried"]) == (250, 0)
    rows = [row for each in config.usual for row in study.counted(config, each, measured)]
    totals = {row["method"]: row for row in study.summed(rows, ("method", "device"))}
    # Effort is that of knees alone.
    assert totals["varnet"]["attacked"] == 2 * (sum(attacked.values()) + 2 * attacked["replicas"]) - 3
    assert found["effort"]["steps"] == 3 * 2 * (25 + 50 + 100 + 200 + 400)
    assert found["effort"]["judged"] == 3 * 5 * study.JUDGED
    two_step = {row["attack"]: row for row in rows if row["method"] == "convdecoder"}["two-step"]
    # On 20 images at two levels, and on three validation images for each of three values of β.
    assert two_step["steps"] == (40 + 9) * 2 * 400
    assert two_step["judged"] == 40 * study.JUDGED + 9 * study.TRIED
    assert two_step["search (h)"] == pytest.approx(49 * 800 * 7200 / study.STEPS / 3600)
    assert two_step["transfer (h)"] == pytest.approx(40 * 5 * 2.0)
    assert totals["tikhonov"]["device"] == totals["tv"]["device"] == "core"
    convex = [row for row in rows if (row["method"], row["attack"]) == ("tv", "two-step")]
    assert sum(row["search (h)"] for row in convex) == pytest.approx(2 * 49 * 800 * 4.0 / 3600)


def test_the_cost_of_small_features_is_that_of_their_reconstructions(monkeypatch):
    config = load(yaml.safe_load(Path("config.paper.multicoil.yaml").read_text()), classes=False)
    monkeypatch.setattr(
        study, "step_of", lambda config, method, search, measured: study.Step(1.0, 36.0, "GPU")
    )
    found = {(row["method"], row["study"]): row for row in study.studied(config, {})}
    # A lattice an image for fits, every location at once for linear methods, and windows alone as well.
    assert found["convdecoder-gd", "bright"]["reconstructions"] == 200
    assert found["tikhonov", "bright"]["reconstructions"] == 200
    assert found["tv", "alone"]["reconstructions"] == 10 * (1 + 2)
    assert found["tv", "alone"]["features (h)"] == pytest.approx(0.3)
    # Shares 1/32 to 1 of a fit, with the feature and without.
    assert found["convdecoder", "fit"]["reconstructions"] == pytest.approx(5 * 2 * 63 / 32)
    # Methods without derivative are tried with fewer.
    fits, searched = found["convdecoder", "worst-fits"], found["unet", "worst"]
    assert fits["reconstructions"] / fits["images"] < 0.2 * searched["reconstructions"] / searched["images"]
