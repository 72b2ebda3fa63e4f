"""Each method beside BART and SigPy on a real brain: 8 coils, 180×230, four times random columns.

Every λ, ours and the peers', is that of the lowest NRMSE, found by one rule (`tuned`). There is one slice, so
all are tuned on what they are judged by: an oracle for all alike. Decoders have no λ; theirs are smaller
than the paper's, and their number of steps is fixed. NRMSE is of complex images, where the method gives them;
it and PSNR count pixels where coils see something (`CoilFourier.seen`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.clock import processor_seconds
from benchmarks.multicoil import raw_brain, undersampled
from benchmarks.peers_multicoil import Bart, about_centre, backward, sigpy_variation, sigpy_wavelet
from benchmarks.problems import save
from mrilib.metrics.quality import psnr, relative_error
from mrilib.operators.bases import Cosine, FourierBasis, Wavelet
from mrilib.operators.coils import CoilFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained

# The λ tried first: eight steps over two decades. Then two thirds between the best and its neighbours.
FIRST, BETWEEN, DECADES, MOST_EXTENSIONS = 9, 3, 2.0, 24
# Certified accuracy while λ is sought, and of the result.
SEEKING, FINAL = 1e-2, 1e-4
# Steps of peers while λ is sought; then doubled until the NRMSE changes by less than a part in 1000, which
# with random shifts it need not do.
PEER_STEPS, MOST_PEER_STEPS, SETTLED = 100, 1600, 1e-3
# Steps of ours with random shifts, for which there is no accuracy to seek.
SPINNING = 100
# A dual step that converges fast on images of maximum 1 (0.01, 0.1 and 1 were tried), and BART's penalty.
SIGMA, PENALTY = 0.03, "0.1"
DECODERS = {
    "ConvDecoder, reduced": ("ConvDecoder", {"channels": 64, "layers": 6, "in_size": [8, 8]}, 300),
    "Deep Decoder, reduced": ("DeepDecoder", {"channels": 96, "layers": 6, "in_size": [16, 16]}, 500),
}


@dataclass(frozen=True)
class Entry:
    """A method with a weight: `run(λ, effort)` gives the image and what it did.

    `effort` is the certified accuracy of ours and the steps of a peer's. Entries of the same `objective`
    have the same minimiser; `-` has none. The grid begins at `low`.
    """

    method: str
    by: str
    objective: str
    low: float
    run: Callable[[float, float], tuple[Tensor, str]]


def entries(kspace: Tensor, operator: CoilFourier, bart: Bart | None) -> list[Entry]:
    def ours(method: Callable[..., Any], weight: float, tolerance: float) -> tuple[Tensor, str]:
        solution = method(weight=weight, tolerance=tolerance).solve(kspace, operator)
        return solution.value, f"{int(solution.stats['steps'])} steps, certified to {tolerance:g}"

    def spun(weight: float, _: float) -> tuple[Tensor, str]:
        method = L1(basis=Wavelet("db2", 4), weight=weight, cycle_spinning=True, steps=SPINNING)
        return method.solve(kspace, operator).value, f"{SPINNING} steps"

    def mirrored(weight: float, tolerance: float) -> tuple[Tensor, str]:
        method = TotalVariation(weight=weight, tolerance=tolerance, coupling="isotropic")
        solution = method.solve(*backward(kspace, operator))
        did = f"{int(solution.stats['steps'])} steps, certified to {tolerance:g}"
        return about_centre(solution.value), did

    def pics(bart: Bart, prior: str, *options: str) -> Callable[[float, float], tuple[Tensor, str]]:
        def run(weight: float, steps: float) -> tuple[Tensor, str]:
            image, _ = bart.pics(*options, "-R", f"{prior}:3:0:{weight}", steps=int(steps))
            return image, f"{steps:g} steps"

        return run

    def sigpy(solve: Callable[..., Tensor], last: Any) -> Callable[[float, float], tuple[Tensor, str]]:
        return lambda weight, steps: (solve(kspace, operator, weight, int(steps), last), f"{steps:g} steps")

    found = [
        Entry("SENSE (Tikhonov)", "ours", "½λ‖z‖²", 1e-3, partial(ours, Tikhonov)),
        Entry("TV isotropic", "ours", "TV isotropic, forward", 5e-4, partial(ours, variation("isotropic"))),
        Entry("TV isotropic, backward", "ours", "TV isotropic, backward", 5e-4, mirrored),
        Entry("TV complex", "ours", "TV complex", 5e-4, partial(ours, variation("complex"))),
        Entry("TV", "SigPy", "TV complex", 5e-4, sigpy(sigpy_variation, SIGMA)),
        Entry("ℓ1 wavelet db4, 3 levels", "ours", "db4 periodic", 5e-4, partial(ours, l1(Wavelet()))),
        Entry("ℓ1 wavelet db2, 4 levels", "ours", "db2 periodic", 5e-4, partial(ours, l1(Wavelet("db2", 4)))),
        Entry("ℓ1 wavelet db2, shifted", "ours", "-", 5e-4, spun),
        Entry("ℓ1 wavelet db4, all levels", "SigPy", "-", 5e-4, sigpy(sigpy_wavelet, "db4")),
        Entry("ℓ1 DCT", "ours", "DCT", 1e-3, partial(ours, l1(Cosine()))),
        Entry("ℓ1 Fourier", "ours", "Fourier", 1e-3, partial(ours, l1(FourierBasis()))),
    ]
    if bart is not None:
        found += [
            Entry("TV", "BART -R T", "TV isotropic, backward", 5e-4, pics(bart, "T", "-u", PENALTY)),
            Entry("ℓ1 wavelet db2, shifted", "BART -R W", "-", 5e-4, pics(bart, "W")),
            Entry("ℓ1 wavelet db2", "BART -R W -n", "db2, own boundary", 5e-4, pics(bart, "W", "-n")),
        ]
    return found


def variation(coupling: str) -> Callable[..., TotalVariation]:
    return partial(TotalVariation, coupling=coupling)


def l1(basis: Any) -> Callable[..., L1]:
    return partial(L1, basis=basis)


def tuned(error: Callable[[float], float], low: float) -> tuple[float, int]:
    """λ of the lowest error, and how many were tried.

    Nine on a logarithmic grid over two decades, continued while the best is at an end; then two at thirds on
    either side of the best.
    """
    step = 10 ** (DECADES / (FIRST - 1))
    errors = {power: error(low * step**power) for power in range(FIRST)}
    while True:
        best = min(errors, key=errors.__getitem__)
        if best not in (min(errors), max(errors)):
            break
        if len(errors) == FIRST + MOST_EXTENSIONS:
            raise RuntimeError(
                f"tuned: the error still falls at λ = {low * step**best:.1e}; begin nearer to it"
            )
        beyond = best - 1 if best == min(errors) else best + 1
        errors[beyond] = error(low * step**beyond)
    best = min(errors, key=errors.__getitem__)
    fine = {float(power): value for power, value in errors.items()}
    for part in range(1, BETWEEN):
        for power in (best - part / BETWEEN, best + part / BETWEEN):
            fine[power] = error(low * step**power)
    return low * step ** min(fine, key=fine.__getitem__), len(fine)


def scores(image: Tensor, reference: Tensor) -> dict[str, float]:
    complete = image.is_complex()
    difference = float((image - reference).norm() / reference.norm()) if complete else math.nan
    return {
        "NRMSE": difference if complete else float(relative_error(image, reference)),
        "NRMSE of moduli": float(relative_error(image, reference)),
        "PSNR (dB)": float(psnr(image, reference)),
    }


def row(entry: Entry, operator: CoilFourier, reference: Tensor) -> dict[str, Any]:
    mine = entry.by == "ours"

    def error(weight: float, effort: float) -> float:
        image = operator.seen(entry.run(weight, effort)[0])
        return float((image - reference).norm() / reference.norm())

    effort = SEEKING if mine else PEER_STEPS
    if "Tikhonov" in entry.method:
        # its tolerance is a residual's, whose error the weight magnifies
        effort = FINAL
    weight, tried = tuned(lambda candidate: error(candidate, effort), entry.low)
    effort = FINAL if mine else settled(lambda steps: error(weight, steps))
    start = processor_seconds()
    image, did = entry.run(weight, effort)
    seconds = processor_seconds() - start
    found = scores(operator.seen(image), reference)
    return {
        "method": entry.method,
        "by": entry.by,
        "objective": entry.objective,
        "λ": weight,
        "λ tried": tried,
        **found,
        "seconds": seconds,
        "effort": did,
    }


def settled(error: Callable[[float], float]) -> float:
    """Steps, doubled from `PEER_STEPS`, after which doubling changes the error by less than `SETTLED`."""
    steps, before = PEER_STEPS, error(PEER_STEPS)
    while steps < MOST_PEER_STEPS:
        after = error(2 * steps)
        if abs(after - before) < SETTLED * before:
            break
        steps, before = 2 * steps, after
    return float(steps)


def without_weight(
    kspace: Tensor, operator: CoilFourier, reference: Tensor
) -> list[tuple[str, str, Callable[[], Tensor]]]:
    """Zero-filling, and decoders, whose images count where the maps are not zero."""
    inside = reference.abs() > 0

    def decoder(kind: str, arguments: dict[str, Any], steps: int) -> Callable[[], Tensor]:
        network = {"class": f"mrilib.networks.decoders:{kind}", "arguments": arguments}
        return lambda: Untrained(network=network, steps=steps)(kspace, operator) * inside

    found = [("zero-filled", "", lambda: operator.seen(ZeroFilled()(kspace, operator)))]
    for name, (kind, arguments, steps) in DECODERS.items():
        sizes = f"{arguments['channels']} channels, {arguments['layers']} layers, {steps} steps"
        found.append((name, sizes, decoder(kind, arguments, steps)))
    return found


def measure(folder: Path) -> None:
    reference, kspace, operator = undersampled(raw_brain(folder), redraw_within=0.05)
    rows: list[dict[str, Any]] = []
    for name, did, run in without_weight(kspace, operator, reference):
        start = processor_seconds()
        found = scores(run(), reference)
        seconds = processor_seconds() - start
        empty = {"by": "ours", "objective": "-", "λ": "", "λ tried": 0}
        rows.append({"method": name} | empty | found | {"seconds": seconds, "effort": did})
        print(rows[-1], flush=True)
    try:
        bart = Bart(kspace, operator)
    except FileNotFoundError as error:
        print(error, flush=True)
        bart = None
    for entry in entries(kspace, operator, bart):
        rows.append(row(entry, operator, reference))
        print(rows[-1], flush=True)
    if bart is not None:
        bart.close()
    save("multicoil-quality", sorted(rows, key=lambda each: each["NRMSE"]))
