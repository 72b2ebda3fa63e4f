import re

import numpy as np
import pytest
import torch
from torch import nn

from mrilib.data.calibration import calibrated
from mrilib.data.images.ellipses import ellipse_phantoms
from mrilib.data.masks import column_mask, radial_mask
from mrilib.data.measurement import measure
from mrilib.metrics.quality import psnr
from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coil_images import rss
from mrilib.operators.coils import CoilFourier
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.decoder import BETTER, DecoderProblem, Descent, consistent, fit
from mrilib.solvers.solution import Status
from mrilib.store import unfinished

CONV = {
    "class": "mrilib.networks.decoders:ConvDecoder",
    "arguments": {"channels": 8, "layers": 3, "in_size": [4, 4]},
}
DEEP = {**CONV, "class": "mrilib.networks.decoders:DeepDecoder"}
COILS = 3


class Constant(nn.Module):
    """A user's own network: the image itself is what is fitted."""

    def __init__(self, output_shape, out_channels, value=1.0):
        super().__init__()
        self.image = nn.Parameter(torch.full((1, out_channels, *output_shape), float(value)))

    def forward(self):
        return self.image


class Narrow(Constant):
    def forward(self):
        return self.image[:, :1]


OWN = {"class": f"{__name__}:Constant"}


def scan(size, items, dtype=torch.complex128):
    """Coil images of phantoms, their undersampled k-space, and the operator."""
    grid = torch.linspace(-1.0, 1.0, size, dtype=torch.float64)
    corners = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    distances = (grid[:, None] - corners[:, 0, None, None]) ** 2 + (grid - corners[:, 1, None, None]) ** 2
    maps = torch.exp(-0.5 * distances + 1j * torch.arange(COILS)[:, None, None])
    maps = maps / torch.linalg.vector_norm(maps, dim=0)
    images = ellipse_phantoms(items, size=size, seed=3)[:, None] * maps
    mask = column_mask(size, acceleration=3, center_fraction=0.15, kind="random", seed=1)
    operator = CoilFourier(mask=mask, coil_maps=maps.to(dtype))
    return images.to(dtype), (fft2c(images) * operator.mask).to(dtype), operator


@pytest.mark.parametrize("network", [CONV, DEEP])
@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.98, 0.999)])
def test_the_fit_equals_a_plain_loop(network, betas):
    """The slow reference: the module itself, the code's mean of squares, torch's Adam, every copy kept."""
    _, kspace, operator = scan(16, 1)
    method = Untrained(network=network, steps=12, betas=betas, seed=4)
    solution = method.solve(kspace[0], operator)

    problem = method.problem(kspace[0], operator)
    module, data = problem.network, problem.kspace[0] / problem.scale[0]
    adam = torch.optim.Adam(module.parameters(), lr=8e-3, betas=betas)
    losses, copies = [], []
    for _ in range(13):
        channels = module()[0]
        transformed = fft2c(channels[0::2] + 1j * channels[1::2]) * operator.mask
        loss = nn.functional.mse_loss(torch.view_as_real(transformed), torch.view_as_real(data))
        losses.append(loss.item())
        copies.append([value.detach().clone() for value in module.parameters()])
        adam.zero_grad()
        loss.backward()
        adam.step()
    best = 0
    for step, loss in enumerate(losses):
        if losses[best] > BETTER * loss:
            best = step
    with torch.no_grad():
        for value, kept in zip(module.parameters(), copies[best], strict=True):
            value.copy_(kept)
        channels = module()[0]
    # eq. (4) in the data's units
    eq4 = 0.5 * data[0].numel() * COILS * 2 * float(problem.scale[0]) ** 2
    torch.testing.assert_close(solution.stats["loss_curve"][0], eq4 * torch.tensor(losses).double())
    assert int(solution.stats["best_step"][0]) == best
    spectrum = fft2c(float(problem.scale[0]) * (channels[0::2] + 1j * channels[1::2]))
    spectrum[:, operator.mask] = kspace[0][:, operator.mask]
    expected = ifft2c(spectrum).abs().square().sum(dim=0).sqrt()
    torch.testing.assert_close(solution.value, expected, rtol=1e-9, atol=1e-9)


def test_the_start_has_the_norm_of_the_undersampled_data():
    _, kspace, operator = scan(16, 2)
    problem = Untrained(network=CONV).problem(kspace, operator)
    with torch.no_grad():
        start = problem.scale[:, None, None, None] * problem.outputs(problem.start())
    torch.testing.assert_close(rss(start).norm(dim=(-2, -1)), rss(ifft2c(kspace)).norm(dim=(-2, -1)))


def test_losses_are_equation_4():
    _, kspace, operator = scan(16, 2)
    problem = Untrained(network=CONV).problem(kspace, operator)
    with torch.no_grad():
        images = problem.scale[:, None, None, None] * problem.outputs(problem.start())
        found = problem.losses(problem.start()) * problem.unit
    residual = (fft2c(images) - kspace)[..., operator.mask]
    torch.testing.assert_close(found, 0.5 * residual.abs().square().sum(dim=(1, 2)))


@pytest.mark.parametrize("network", [CONV, DEEP])
@pytest.mark.parametrize("optimiser", ["adam", "gradient-descent"])
def test_results_do_not_depend_on_the_batch(network, optimiser):
    _, kspace, operator = scan(16, 3)
    options = {"network": network, "steps": 15, "optimiser": optimiser}
    alone = Untrained(**options).solve(kspace, operator)
    for at_once in (2, 3):
        together = Untrained(**options, at_once=at_once).solve(kspace, operator)
        torch.testing.assert_close(together.value, alone.value, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(together.stats["loss_curve"], alone.stats["loss_curve"], rtol=1e-9, atol=0)
    assert torch.equal(Untrained(**options)(kspace[1], operator), alone.value[1])
    shaped = Untrained(**options).solve(kspace.reshape(3, 1, COILS, 16, 16), operator)
    assert torch.equal(shaped.value, alone.value[:, None])
    assert shaped.stats["loss_curve"].shape == (3, 1, 1, 16)
    assert shaped.stats["steps"].tolist() == [[15], [15], [15]]


@pytest.mark.parametrize("network", [CONV, DEEP])
def test_gradients_of_a_batch_are_those_of_its_items(network):
    """torch 2.13 computes wrong ones if the fixed input of a batch stands in memory channels last."""
    _, kspace, operator = scan(16, 3)
    problem = Untrained(network=network).problem(kspace, operator)
    parameters = problem.start()
    for index, value in enumerate(parameters.values()):
        noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(index), dtype=value.dtype)
        value.add_(0.1 * noise).requires_grad_()
    together = torch.autograd.grad(problem.losses(parameters).sum(), list(parameters.values()))
    for item in range(3):
        single = {
            name: value.detach()[item : item + 1].requires_grad_() for name, value in parameters.items()
        }
        loss = problem.take(torch.tensor([item])).losses(single).sum()
        for all_items, alone in zip(together, torch.autograd.grad(loss, list(single.values())), strict=True):
            torch.testing.assert_close(all_items[item], alone[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("at_once", [1, 3])
def test_a_plateau_ends_every_slice_for_itself(at_once):
    _, kspace, operator = scan(16, 3)
    options = {"network": CONV, "steps": 300, "learning_rate": 0.05, "plateau": 4}
    found = Untrained(**options, at_once=at_once).solve(kspace, operator)
    steps, best = found.stats["steps"], found.stats["best_step"][:, 0]
    assert len(set(steps.tolist())) > 1
    assert int(steps.max()) < 300
    assert (steps - best == 4).all()
    for item in range(3):
        single = Untrained(**options).solve(kspace[item], operator)
        assert single.stats["steps"] == steps[item]
        torch.testing.assert_close(single.value, found.value[item], rtol=1e-6, atol=1e-6)
        curve = found.stats["loss_curve"][item, 0]
        assert curve.isfinite().sum() == steps[item] + 1
        assert curve[: int(steps[item]) + 1].isfinite().all()


def test_the_best_is_kept_and_replaced_only_by_a_clearly_better_one():
    _, kspace, operator = scan(16, 1)
    method = Untrained(network=CONV, steps=150, learning_rate=0.2)
    solution = method.solve(kspace, operator)
    curve = solution.stats["loss_curve"][0, 0]
    best = 0
    for step in range(151):
        if curve[best] > BETTER * curve[step]:
            best = step
    # the curve must turn back at times for this to say anything
    assert (curve.diff() > 0).any()
    assert int(solution.stats["best_step"][0, 0]) == best
    assert solution.stats["best_loss"][0, 0] == curve[best]
    assert solution.stats["final_loss"][0, 0] == curve[-1]
    problem = method.problem(kspace, operator)
    with torch.no_grad():
        again = problem.losses(solution.state.parameters[0]) * problem.unit
        torch.testing.assert_close(again, curve[best : best + 1])
        torch.testing.assert_close(problem.images(solution.state.parameters[0]), solution.value)


def test_sampled_entries_are_put_back(draw):
    _, kspace, operator = scan(16, 2)
    images = consistent(draw(2, COILS, 16, 16), kspace, operator.mask)
    torch.testing.assert_close(fft2c(images) * operator.mask, kspace, rtol=0, atol=1e-14)
    outside = fft2c(images - draw(2, COILS, 16, 16))[..., ~operator.mask]
    assert float(outside.abs().max()) < 1e-14
    # nothing is left to the network if everything is sampled
    full = CoilFourier(mask=torch.ones(16, dtype=torch.bool), coil_maps=operator.coil_maps)
    everything = full.forward(ellipse_phantoms(1, size=16, seed=0)[0].to(torch.complex128))
    found = Untrained(network=CONV, steps=1)(everything, full)
    torch.testing.assert_close(found, rss(ifft2c(everything)))


def test_rows_that_were_never_acquired_count_for_nothing():
    _, kspace, operator = scan(16, 1)
    rows = (torch.arange(16) >= 4)[:, None]
    partial = CoilFourier(mask=operator.mask & rows, coil_maps=operator.coil_maps)
    method = Untrained(network=CONV, steps=3)
    image = method(kspace[0] * rows, partial)
    assert image.isfinite().all()
    assert torch.equal(method(kspace[0], partial), image)


def test_seeds_decide():
    _, kspace, operator = scan(16, 1, torch.complex64)
    state = torch.random.get_rng_state()
    first, again, other = (
        Untrained(network=CONV, steps=5, seed=seed)(kspace, operator) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.dtype == torch.float32
    assert Untrained.output == "magnitude"


@pytest.mark.parametrize("factor", [2.0**-20, 3.7e6])
def test_the_image_scales_with_the_data(factor):
    _, kspace, operator = scan(16, 1)
    method = Untrained(network=CONV, steps=10)
    image = method(kspace, operator)
    torch.testing.assert_close(method(factor * kspace, operator), factor * image, rtol=1e-7, atol=0)


def test_several_fits_are_averaged():
    _, kspace, operator = scan(16, 2)
    method = Untrained(network=CONV, steps=6, fits=3, seed=5)
    solution = method.solve(kspace, operator)
    singles = []
    for number in range(3):
        problem = method.problem(kspace, operator, number=number)
        found = fit(problem, method.descent)
        with torch.no_grad():
            singles.append(problem.images(found.parameters))
    assert not torch.allclose(singles[0], singles[1])
    torch.testing.assert_close(solution.value, torch.stack(singles).mean(dim=0), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(singles[0], Untrained(network=CONV, steps=6, seed=5)(kspace, operator))
    assert solution.stats["best_loss"].shape == (2, 3)
    assert solution.stats["steps"].tolist() == [18, 18]


def test_a_fit_goes_on_from_a_state():
    _, kspace, operator = scan(16, 2)
    method = Untrained(network=CONV, steps=8, fits=2)
    first = method.solve(kspace, operator)
    second = method.solve(1.01 * kspace, operator, start=first.state)
    assert torch.equal(second.state.scale, first.state.scale)
    assert (second.stats["loss_curve"][..., 0] < 0.5 * first.stats["loss_curve"][..., 0]).all()
    same = method.solve(kspace, operator, start=first.state)
    torch.testing.assert_close(same.stats["loss_curve"][..., 0], first.stats["best_loss"])
    with pytest.raises(ValueError, match=r"expected a start of 2 fits and 1 items, got \(2, 2\)"):
        method.solve(kspace[0], operator, start=first.state)


def test_gradient_descent_grows_its_step():
    """On a quadratic the iterates are known: x ← x − h_i·(x − y)/N, h_i = 0.5 + 0.1·i."""
    kspace = torch.zeros(1, 4, 4, dtype=torch.complex128)
    kspace[0, 2, 2] = 8.0
    operator = CoilFourier(mask=torch.ones(4, dtype=torch.bool), coil_maps=torch.ones(1, 4, 4) + 0j)
    method = Untrained(network=OWN, steps=5, optimiser="gradient-descent", learning_rate=0.5, growth=0.1)
    problem = method.problem(kspace, operator)
    solution = method.solve(kspace, operator)
    channels = torch.ones(2, 4, 4, dtype=torch.float64)
    target = ifft2c(kspace[0] / problem.scale)
    target = torch.stack([target.real, target.imag])
    for step in range(5):
        channels = channels - (0.5 + 0.1 * step) * (channels - target) / 16
    torch.testing.assert_close(solution.state.parameters[0]["image"][0, 0], channels)


@pytest.mark.parametrize("network", [CONV, DEEP])
@pytest.mark.parametrize("optimiser", ["adam", "gradient-descent"])
def test_the_loss_falls(network, optimiser):
    _, kspace, operator = scan(16, 1, torch.complex64)
    curve = (
        Untrained(network=network, steps=150, optimiser=optimiser).solve(kspace, operator).stats["loss_curve"]
    )
    assert float(curve.min()) < 0.3 * float(curve[0, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "arguments", "gain"),
    # found in 300 steps: 2.8 and 5.2 dB, and 1.7 and 3.0 dB, over 24.9 and 25.7 dB
    [
        ("ConvDecoder", {"channels": 32, "layers": 5, "in_size": [6, 6]}, 2.0),
        ("DeepDecoder", {"channels": 64, "layers": 5, "in_size": [8, 8]}, 1.0),
    ],
)
def test_decoders_beat_zero_filling(kind, arguments, gain):
    images, kspace, operator = scan(48, 2, torch.complex64)
    network = {"class": f"mrilib.networks.decoders:{kind}", "arguments": arguments}
    found = Untrained(network=network, steps=300)(kspace, operator)
    reference = rss(images)
    assert (psnr(found, reference) > psnr(rss(ifft2c(kspace)), reference) + gain).all()


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("kind", "arguments", "gain"),
    # found: 2.0 and 1.2 dB over zero-filling, whose PSNR is 24.87 dB
    [
        ("ConvDecoder", {"channels": 32, "layers": 6, "in_size": [8, 8]}, 1.5),
        ("DeepDecoder", {"channels": 64, "layers": 6, "in_size": [16, 16]}, 0.8),
    ],
)
def test_decoders_beat_zero_filling_on_a_head(data_folder, kind, arguments, gain):
    kspace = np.fromfile(data_folder / "brain_noise.cfl", np.complex64).reshape(8, 180, 230)
    mask = column_mask(230, acceleration=4, center_fraction=0.08, kind="random", seed=0, redraw_within=0.05)
    measurement = calibrated(measure(torch.from_numpy(kspace), mask))
    network = {"class": f"mrilib.networks.decoders:{kind}", "arguments": arguments}
    found = Untrained(network=network, steps=200)(measurement.kspace, measurement.operator)
    zero_filled = rss(ifft2c(measurement.kspace))
    assert float(psnr(found, measurement.reference)) > float(psnr(zero_filled, measurement.reference)) + gain


def test_single_coil_k_space_has_no_coil_axis(draw):
    operator = MaskedFourier(mask=radial_mask(16, 6))
    kspace = operator.forward(draw(2, 16, 16))
    method = Untrained(network=CONV, steps=2)
    image = method(kspace, operator)
    assert image.shape == (2, 16, 16)
    assert not image.is_complex()
    maps = torch.ones(1, 16, 16, dtype=torch.complex128)
    with_axis = method(kspace[:, None], CoilFourier(mask=operator.mask, coil_maps=maps))
    assert torch.equal(image, with_axis)


def test_entries_outside_the_mask_are_not_seen(draw):
    _, kspace, operator = scan(16, 1)
    method = Untrained(network=CONV, steps=2)
    foreign = kspace + draw(1, COILS, 16, 16) * ~operator.mask
    assert torch.equal(method(foreign, operator), method(kspace, operator))


def test_a_derivative_is_refused():
    _, kspace, operator = scan(16, 1)
    method = Untrained(network=CONV, steps=1)
    kspace.requires_grad_()
    with pytest.raises(NotImplementedError, match=r"two-step procedure, mrilib.attacks.kinds.joint"):
        method(kspace, operator)
    with torch.no_grad():
        assert not method(kspace, operator).requires_grad


def test_divergence_names_its_step():
    _, kspace, operator = scan(16, 2, torch.complex64)
    options = {"network": CONV, "steps": 30, "optimiser": "gradient-descent", "learning_rate": 1e30}
    with pytest.raises(
        FloatingPointError, match=r"fit 1 of 1, slice 1 to 1: the loss of item 0 is not .* at step \d+"
    ):
        Untrained(**options).solve(kspace, operator)
    for at_once in (1, 2):
        solution = Untrained(**options, at_once=at_once).solve(kspace, operator, throw=False)
        assert solution.status is Status.NOT_FINITE
        assert solution.value.isnan().all()
        assert (solution.stats["steps"] < 30).all()
        assert solution.stats["best_loss"].isfinite().all()


def test_memory_that_runs_out_halves_the_batch(monkeypatch, capsys):
    _, kspace, operator = scan(16, 3)
    options = {"network": CONV, "steps": 3}
    expected = Untrained(**options)(kspace, operator)
    tried = []

    def small(problem, descent, **given):
        tried.append(len(problem.kspace))
        if len(problem.kspace) > 1:
            raise torch.cuda.OutOfMemoryError("too little")
        return fit(problem, descent, **given)

    monkeypatch.setattr("mrilib.reconstructors.untrained.fit", small)
    assert torch.equal(Untrained(**options, at_once=1)(kspace, operator), expected)
    tried.clear()
    found = Untrained(**options, at_once=3)(kspace, operator)
    assert tried == [3, 1, 2, 1, 1]
    assert "slice 1 to 3: out of memory; in batches of 1 and 2" in capsys.readouterr().out
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def interrupted(call, monkeypatch, step):
    """Whether `call`, killed at the given evaluation of the loss, came to it."""
    original, left = DecoderProblem.losses, [step]

    def losses(problem, parameters):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return original(problem, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(DecoderProblem, "losses", losses)
        try:
            call()
        except KeyboardInterrupt:
            return True
    return False


def evaluations(call, monkeypatch):
    """How many times `call` evaluates the loss."""
    original, count = DecoderProblem.losses, [0]

    def losses(problem, parameters):
        count[0] += 1
        return original(problem, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(DecoderProblem, "losses", losses)
        call()
    return count[0]


def everything(solution):
    """Bytes of all that a solution holds, NaN among them, and its status."""
    state = solution.state
    found = [solution.value, *(solution.stats[name] for name in sorted(solution.stats)), state.scale]
    found += [each[name] for each in state.parameters for name in sorted(each)]
    return [(each.dtype, each.shape, each.numpy().tobytes()) for each in found], solution.status


TWO_COILS = {**CONV, "arguments": {"channels": 8, "layers": 4, "in_size": [4, 4]}}
ADAM = {"network": TWO_COILS, "steps": 7, "fits": 2}
DESCENT = {**ADAM, "optimiser": "gradient-descent", "learning_rate": 0.05, "momentum": 0.9}


@pytest.mark.parametrize(
    "options",
    [
        {**ADAM, "at_once": 2},
        ADAM,
        {**ADAM, "network": {**TWO_COILS, "class": DEEP["class"]}, "betas": (0.98, 0.999)},
        {**DESCENT, "at_once": 2},
        {**DESCENT, "momentum": 0.0},
        # items leave the batch one after the other
        {**ADAM, "steps": 40, "learning_rate": 0.2, "plateau": 3, "at_once": 2},
        {**DESCENT, "steps": 60, "learning_rate": 1.0, "plateau": 4, "at_once": 2},
        # both diverge after some steps
        {**DESCENT, "learning_rate": 3.0, "steps": 30, "at_once": 2},
    ],
    ids=["adam", "alone", "deep", "descent", "plain", "plateau", "descent-plateau", "diverges"],
)
@pytest.mark.parametrize("seed", range(3))
def test_a_fit_that_is_killed_goes_on_and_ends_as_an_undisturbed_one(options, seed, tmp_path, monkeypatch):
    _, kspace, operator = scan(16, 2, torch.complex64)
    kspace, keep = kspace[:, :2], tmp_path / "fit.pt"
    method = Untrained(**options)

    def solve(**given):
        return method.solve(kspace, operator, throw=False, **given)

    expected = everything(solve())
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    total, generator = evaluations(solve, monkeypatch), np.random.default_rng(seed)
    steps = sorted(generator.choice(total, size=min(3, total), replace=False).tolist())
    for step, before in zip(steps, [0, *steps], strict=False):
        assert interrupted(lambda: solve(keep=keep), monkeypatch, step - before)
    left = evaluations(lambda: solve(keep=keep), monkeypatch)
    # a kill costs the step that it hits, and no other
    assert left <= total - steps[-1] + 1
    assert everything(solve(keep=keep)) == expected
    assert evaluations(lambda: solve(keep=keep), monkeypatch) == 0


def test_a_fit_is_kept_at_its_end_even_if_no_time_has_passed(tmp_path, monkeypatch):
    _, kspace, operator = scan(16, 2, torch.complex64)
    method, keep = Untrained(**ADAM), tmp_path / "fit.pt"
    expected = everything(method.solve(kspace, operator))

    def solve():
        return method.solve(kspace, operator, keep=keep)

    # two fits of two slices, each alone, have 8 evaluations each
    assert interrupted(solve, monkeypatch, 8 * 3 - 1)
    assert evaluations(solve, monkeypatch) == 8 * 2
    assert everything(solve()) == expected


def test_a_fit_from_a_state_goes_on_too(tmp_path, monkeypatch):
    _, kspace, operator = scan(16, 2, torch.complex64)
    method, keep = Untrained(**ADAM), tmp_path / "fit.pt"
    start = method.solve(kspace, operator).state
    expected = everything(method.solve(1.01 * kspace, operator, start=start))
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    assert interrupted(lambda: method.solve(1.01 * kspace, operator, start=start, keep=keep), monkeypatch, 13)
    assert everything(method.solve(1.01 * kspace, operator, start=start, keep=keep)) == expected


def test_a_single_coil_is_kept_too(draw, tmp_path, monkeypatch):
    operator = MaskedFourier(mask=radial_mask(16, 6))
    kspace = operator.forward(draw(16, 16))
    method, keep = Untrained(**ADAM), tmp_path / "fit.pt"
    expected = everything(method.solve(kspace, operator))
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    assert interrupted(lambda: method.solve(kspace, operator, keep=keep), monkeypatch, 11)
    assert everything(method.solve(kspace, operator, keep=keep)) == expected


@pytest.mark.parametrize(
    "change",
    [
        "data",
        "mask",
        "start",
        {"steps": 8},
        {"seed": 1},
        {"fits": 1},
        {"plateau": 5},
        {"at_once": 2},
        {"network": CONV},
    ],
    ids=str,
)
def test_a_file_of_another_fit_is_told_and_overwritten(change, tmp_path, monkeypatch, capsys):
    _, kspace, operator = scan(16, 2, torch.complex64)
    keep, options, start = tmp_path / "fit.pt", dict(ADAM), None
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    assert interrupted(lambda: Untrained(**options).solve(kspace, operator, keep=keep), monkeypatch, 11)
    capsys.readouterr()
    if change == "data":
        kspace = kspace.clone()
        kspace[0, 0, 8, 8] += 1e-6
    elif change == "mask":
        operator = CoilFourier(mask=torch.ones(16, dtype=torch.bool), coil_maps=operator.coil_maps)
    elif change == "start":
        start = Untrained(**options).solve(kspace, operator).state
    else:
        options |= change
    method = Untrained(**options)
    expected = everything(method.solve(kspace, operator, start=start))
    assert everything(method.solve(kspace, operator, start=start, keep=keep)) == expected
    assert f"Untrained begins anew: {keep} holds the state of other work" in capsys.readouterr().out
    # and it is this fit's now
    assert evaluations(lambda: method.solve(kspace, operator, start=start, keep=keep), monkeypatch) == 0


def test_a_batch_that_was_halved_goes_on_halved(tmp_path, monkeypatch):
    _, kspace, operator = scan(16, 3, torch.complex64)
    method, keep, tried = Untrained(**ADAM, at_once=3), tmp_path / "fit.pt", []

    def small(problem, descent, **given):
        tried.append((len(problem.kspace), given["course"] is not None))
        if len(problem.kspace) > 2:
            raise torch.cuda.OutOfMemoryError("too little")
        return fit(problem, descent, **given)

    monkeypatch.setattr("mrilib.reconstructors.untrained.fit", small)
    expected = everything(method.solve(kspace, operator))
    assert tried == 2 * [(3, False), (1, False), (2, False)]
    monkeypatch.setattr(unfinished, "SAVE_EVERY", 0.0)
    # within the second half of the first fit
    assert interrupted(lambda: method.solve(kspace, operator, keep=keep), monkeypatch, 8 + 4)
    tried.clear()
    assert everything(method.solve(kspace, operator, keep=keep)) == expected
    assert tried == [(2, True), (3, False), (1, False), (2, False)]


def test_progress_is_printed_in_a_log(monkeypatch, capsys):
    _, kspace, operator = scan(16, 1, torch.complex64)
    monkeypatch.setattr("mrilib.solvers.decoder.REPORT_EVERY", 0.0)
    Untrained(network=CONV, steps=2).solve(kspace, operator)
    found = re.findall(r"fit 1 of 1, slice 1 to 1: step (\d) of 2, loss [0-9.e-]+\n", capsys.readouterr().out)
    assert found == ["1", "2"]


@pytest.mark.gpu
def test_a_gpu_fits_as_a_cpu_does():
    _, kspace, operator = scan(16, 2)
    method = Untrained(network=CONV, steps=10, at_once=2)
    expected = method(kspace, operator)
    found = method(kspace.cuda(), operator.to("cuda"))
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "expected steps and plateau of at least 1, got 0 and None"),
        ({"plateau": 0}, "expected steps and plateau of at least 1"),
        ({"learning_rate": 0.0}, "expected a finite learning_rate > 0 and growth >= 0, got 0.0"),
        ({"growth": -1.0}, "expected a finite learning_rate > 0 and growth >= 0"),
        ({"betas": (0.9, 1.0)}, r"expected two betas and momentum in \[0, 1\)"),
        ({"fits": 0}, "expected fits and at_once of at least 1, got 0 and None"),
        ({"at_once": 0}, "expected fits and at_once of at least 1, got 1 and 0"),
        ({"network": {"class": "mrilib.networks.decoders:Missing"}}, "has no attribute"),
        ({"network": {"arguments": {}}}, "expected network as {class"),
        ({"network": {**CONV, "arguments": {"width": 3}}}, "unexpected keyword argument 'width'"),
        (
            {"network": {**CONV, "arguments": {"out_channels": 8}}},
            r"\['out_channels'\] follow from the k-space",
        ),
    ],
)
def test_refuses_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Untrained(**{"network": CONV} | arguments)


@pytest.mark.usefixtures("unchecked")
def test_refuses_other_optimisers():
    with pytest.raises(ValueError, match="expected two betas"):
        Untrained(network=CONV, betas=[0.9])
    with pytest.raises(ValueError, match="expected optimiser 'adam' or 'gradient-descent', got 'sgd'"):
        Descent(optimiser="sgd")


@pytest.mark.usefixtures("unchecked")
def test_refuses_data_that_it_cannot_fit():
    _, kspace, operator = scan(16, 2)
    method = Untrained(network=CONV, steps=1)
    with pytest.raises(ValueError, match=r"Untrained: expected complex kspace, got torch\.float64"):
        method(kspace.real, operator)
    with pytest.raises(ValueError, match=r"expected kspace \(..., coil, ky, kx\), got \(16, 16\)"):
        method(kspace[0, 0], operator)
    with pytest.raises(ValueError, match=r"expected kspace \(..., 16, 16\) from the mask"):
        method(kspace[..., :8], operator)
    with pytest.raises(ValueError, match="expected an operator with a mask, got _Adjoint"):
        method(kspace, operator.H)
    with pytest.raises(ValueError, match="kspace of item 1 is zero on the mask"):
        method(kspace * torch.tensor([1.0, 0.0])[:, None, None, None], operator)
    with pytest.raises(
        ValueError, match=r"Narrow: expected real output \(1, 6, 16, 16\) .* of shape \(1, 1,"
    ):
        Untrained(network={"class": f"{__name__}:Narrow"}, steps=1)(kspace, operator)
    kspace[0, 0, 8, 8] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        method(kspace, operator)
