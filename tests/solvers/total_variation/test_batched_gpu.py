"""The batched loop on a GPU, with and without graphs, and the benchmark of both, which runs anywhere."""

import gc
import json
from dataclasses import replace

import pytest
import torch

from benchmarks import __main__ as entry
from benchmarks import gpu
from mrilib.attacks.kinds.localized import localized_attack
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.solvers.total_variation import admm, batched
from mrilib.solvers.total_variation.batched import BatchLoop

# Warnings are errors, so that a compiler or a capture that fails is one as well; but not those of torch's own
# code, and its advice to round to TF32.
on_a_gpu = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:TensorFloat32 tensor cores:UserWarning"),
]


def gpu_test(function):
    for mark in on_a_gpu:
        function = mark(function)
    return function


def sent(problem):
    """The problem on the device."""
    names = ("spectrum", "data", "energy", "weight")
    return replace(problem, **{name: getattr(problem, name).cuda() for name in names})


def advanced(problem, state, *, paired, graphs):
    """Image, state and mean after some steps, and whether graphs made them."""
    loop = BatchLoop(problem, paired=paired, graphs=graphs)
    if paired:
        loop.source = 1j * state[:, 0].real
    loop.load(state, None if paired else state)
    for taken in range(1, batched.CAPTURE_AFTER + 21):
        loop.solve()
        if paired and taken % 4 == 0:
            loop.source = 1j * loop.image.real
            loop.data = 0.99 * loop.data
        loop.update()
        if not paired and taken % 5 == 0:
            loop.average(0.4)
    return [tensor.cpu() for tensor in (loop.image, loop.spectrum, loop.state(), loop.mean())], loop.captured


@gpu_test
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("items", [1, 3])
def test_graph_is_eager_is_cpu(items, paired, coupling, problem_of, stacked, draw):
    if paired and coupling != "split":
        pytest.skip("one rule, whatever the coupling")
    problem = stacked([problem_of(12, 10, coupling=coupling, real=paired)] * items)
    state = 0.1 * draw(items, 2, 12, 10)
    expected, _ = advanced(problem, state, paired=paired, graphs=False)
    for graphs in (True, False):
        found, captured = advanced(sent(problem), state.cuda(), paired=paired, graphs=graphs)
        assert (captured is not None) is graphs
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10 * float(other.abs().max()))


@gpu_test
@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("tolerance", [1e-3, 1e-4])
def test_certified_results_agree_in_single_precision(tolerance, coupling, problem_of, stacked, monkeypatch):
    problem = stacked([problem_of(32, 30, coupling=coupling)] * 3).to(torch.complex64)
    problem = replace(problem, weight=problem.weight * torch.tensor([1.0, 0.5, 0.2]))
    objectives = []
    for device, graphs in (("cpu", False), ("cuda", True), ("cuda", False)):
        if device == "cuda" and not graphs:
            monkeypatch.delitem(batched.CAPTURES, "cuda")
        given = problem if device == "cpu" else sent(problem)
        solution = admm.minimise(given, tolerance=tolerance, max_steps=20_000)
        assert float(solution.stats["gap"].max()) <= tolerance
        objectives.append(solution.stats["objective"].cpu())
    for other in objectives[1:]:
        torch.testing.assert_close(other, objectives[0], rtol=tolerance, atol=0)


@gpu_test
@pytest.mark.usefixtures("unchecked")
def test_batch_size_changes_no_result(coupling, problem_of, stacked):
    problems = [problem_of(32, 30, coupling=coupling, seed=seed).to(torch.complex64) for seed in range(3)]
    # One mask for all.
    problems = [replace(each, spectrum=torch.ones_like(each.spectrum)) for each in problems]
    together = admm.minimise(sent(stacked(problems)), tolerance=1e-4, max_steps=20_000)
    for item, each in enumerate(problems):
        alone = admm.minimise(sent(stacked([each])), tolerance=1e-4, max_steps=20_000)
        torch.testing.assert_close(
            alone.stats["objective"][0], together.stats["objective"][item], rtol=1e-4, atol=0
        )


@gpu_test
def test_the_attack_finds_the_same_with_graphs(measured, monkeypatch):
    _, kspace, operator = measured(64, 16, dtype=torch.complex64)
    radius = 0.05 * float(kspace.norm())
    found = []
    for graphs in (True, False):
        if not graphs:
            monkeypatch.delitem(batched.CAPTURES, "cuda")
        method = TotalVariation(weight=5e-3)
        found.append(
            localized_attack(method, kspace.cuda(), operator.to("cuda"), radius=radius, grid=4, seed=0)
        )
    # Both climb the same function from the same start in float32; rounding parts their paths.
    torch.testing.assert_close(found[0].severity, found[1].severity, rtol=1e-2, atol=0)


@gpu_test
def test_graphs_and_their_memory_go_with_the_loop(problem_of, stacked, draw):
    problem, state = sent(stacked([problem_of(64, 60)] * 4)), draw(4, 2, 64, 60).cuda()
    advanced(problem, state, paired=False, graphs=True)
    gc.collect()
    before = torch.cuda.memory_allocated()
    gc.disable()
    try:
        _, captured = advanced(problem, state, paired=False, graphs=True)
        assert captured is not None
        del captured
        assert torch.cuda.memory_allocated() == before
    finally:
        gc.enable()


@gpu_test
def test_a_capture_that_fails_leaves_the_device_usable():
    values, stream = torch.ones(10, device="cuda"), torch.cuda.current_stream()
    with pytest.raises(Exception, match="captur"):
        # Reading a number waits for the device, which a capture does not allow.
        batched.Captured({("solve", 0): lambda: float(values.sum())}, values.device)
    assert torch.cuda.current_stream() == stream
    assert float(values.sum()) == 10.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_the_benchmark_wants_a_gpu():
    with pytest.raises(SystemExit, match=r"expected a CUDA device, found none; .* --device cpu"):
        gpu.main([])
    assert not entry.NAMES["gpu"][0]


def test_bytes_of_a_step():
    # 256² complex numbers in single precision are half a MiB
    assert gpu.moved(256, paired=True) == pytest.approx(7.0 * 2**20)
    assert gpu.moved(256, paired=False) == pytest.approx(7.35 * 2**20)


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_the_benchmark_runs_small_anywhere(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small = "--device cpu --size 32 --batch 1 2 --steps 2 --copy 1 --lines 12"
    part = "--images 1 --levels 0.04 --masks 10 12 --grid 2"
    gpu.main(f"{small} {part}".split())
    folder = tmp_path / "results" / "benchmarks"
    rows = json.loads((folder / "gpu-tried.json").read_text())["rows"]
    assert [(row["step"], row["batch"]) for row in rows] == [
        (step, batch) for step in ("split", "complex", "isotropic", "paired") for batch in (1, 2)
    ]
    for row in rows:
        assert row["graph"] == "no"
        assert row["floor over time"] == pytest.approx(row["floor (µs)"] / row["µs an image and step"])
    (whole,) = json.loads((folder / "gpu-tried-attack.json").read_text())["rows"]
    assert whole["share of Table 1"] == pytest.approx(2 * 4 / (3 * 6 * 50 * 64))
    assert whole["Table 1 at this rate (s)"] == pytest.approx(whole["seconds"] * 7200)
    assert "| paired | 32 | 2 | no |" in capsys.readouterr().out
    assert not (folder / "gpu.json").exists()


def test_what_has_no_memory_is_left_out(monkeypatch, capsys):
    def too_large(kind, batch, options, device, *, graphs):
        if batch > 1:
            raise torch.OutOfMemoryError
        return False, 1e-6

    monkeypatch.setattr(gpu, "_step", too_large)
    monkeypatch.setattr(gpu, "bandwidth", lambda megabytes, device: 1e12)
    saved = {}
    monkeypatch.setattr(gpu, "save", lambda name, rows: saved.update({name: rows}))
    gpu.main(["--device", "cpu", "--parts", "step", "--couplings", "split", "--batch", "1", "8"])
    assert [(row["step"], row["batch"]) for row in saved["gpu-tried"]] == [("split", 1), ("paired", 1)]
    assert "no memory for 8 images of 256², step paired" in capsys.readouterr().out
