"""What attacks should take, by which their jobs ask for time and memory: estimated from sizes and classes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from workflow_scripts.config.domains import Application
from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import Simulated
from workflow_scripts.provenance import MISSING, class_attribute

# Seconds of a search that does not say, at one level on 256² pixels of one coil, and of a reconstruction on
# `LARGE` by methods that do not say; both are estimated for networks on a GPU.
USUAL_SECONDS, USUAL_RECONSTRUCTION = 15.0, 0.05
# On coils a search that does not say differentiates: two reconstructions a step. Steps of its usual rounds at
# 64 places; and of searches that say what a whole image takes, as many times more for places.
GRADIENT, PLACE_STEPS, PLACED = 2, 1120, 6
# Reconstructions that judge an attack at a level: what a search keeps, a spike, noise; more if repeated.
JUDGED = 5
# MB of any job, torch with CUDA among them; arrays of k-space that a search holds of each candidate, with
# those on their way between memories.
USUAL_MB, ARRAYS = 4000, 8
# What kinds of attack have where an entry does not say: places along an axis, restarts and steps.
GRID, RESTARTS, STEPS = 8, 2, 100


class Size(NamedTuple):
    """Size of an image's k-space; one coil stands for data without a coil axis."""

    coils: int
    rows: int
    columns: int

    @property
    def entries(self) -> int:
        return self.coils * self.rows * self.columns


# Of fastMRI's knees, for scans whose size nobody knows before they are read.
LARGE = Size(15, 640, 368)


def size_of(config: Run, source: str) -> Size:
    """Size of the k-space of a source's test images, as far as the config has it, else `LARGE`."""
    if source not in config.scans:
        return Size(1, config.size, config.size)
    dataset = config.datasets[config.sets_of(source)["test"].dataset]
    if isinstance(dataset, Simulated):
        return Size(dataset.coils, dataset.rows, dataset.columns)
    return LARGE


def seconds(
    config: Run, applied: Application, attacks: Sequence[Mapping[str, Any]], others: Mapping[str, int]
) -> float:
    """Seconds of a job's attacks on one image: `Σ levels·(search + reconstructions)`.

    Classes say what a search takes at one level, on 256² pixels of one coil (`seconds`) and of the whole
    image on `LARGE` (`seconds_on_coils`; of methods: a reconstruction), in proportion to entries of k-space.

    Args:
        config: the run.
        applied: what is attacked.
        attacks: entries of a job: `attack`, `described`, `levels`, `factors`.
        others: for each attack how many other methods' perturbations are reconstructed from at each level.
    """
    size = size_of(config, applied.source)
    if applied.source not in config.scans:
        return sum(_on_one_coil(attack) for attack in attacks) * size.entries / 256**2
    each = said(config.methods[applied.method].reconstructor, "seconds_on_coils", USUAL_RECONSTRUCTION)
    total = 0.0
    for attack in attacks:
        search = attack["described"].get("search")
        judged = (JUDGED if search else 1) + others.get(attack["attack"], 0)
        total += times(attack) * (_on_coils(config, attack, each) + judged * each)
    return total * size.entries / LARGE.entries


def _on_one_coil(attack: Mapping[str, Any]) -> float:
    search = attack["described"].get("search")
    return times(attack) * (said(search, "seconds", USUAL_SECONDS) if search else USUAL_SECONDS)


def _on_coils(config: Run, attack: Mapping[str, Any], each: float) -> float:
    """Seconds of a search at one level on `LARGE`, with a reconstruction of `each`."""
    described = attack["described"]
    if not described.get("search"):
        return 0.0
    placed = config.attacks[attack["attack"]].has_places
    whole = said(described["search"], "seconds_on_coils", 0.0)
    if whole:
        return whole * PLACED if placed else whole
    running = candidates(config, attack)
    if not placed:
        return GRADIENT * each * running * described["arguments"].get("steps", STEPS)
    rounds = described.get("search_arguments", {}).get("rounds")
    steps = steps_of_rounds(rounds, running) if rounds else PLACE_STEPS * running / GRID**2
    return GRADIENT * each * steps


def steps_of_rounds(rounds: Iterable[tuple[int, int | None]], running: int) -> int:
    """Steps of all candidates together, over rounds `(steps, keep)` that begin with so many."""
    total = 0
    for taken, kept in rounds:
        total += taken * running
        running = min(running, kept or running)
    return total


def times(attack: Mapping[str, Any]) -> int:
    """How often an entry is run: at levels, and at multiples of the tuned parameter."""
    return len(attack["levels"]) * len(attack["factors"])


def memory_mb(
    config: Run, source: str, attacks: Sequence[Mapping[str, Any]], others: Mapping[str, int]
) -> int:
    """MB of memory of a job's attacks on one image, whose candidates are held all at once.

    Args:
        config, attacks, others: as of `seconds`; others' perturbations are held to the end of the job.
        source: of the image.
    """
    size = size_of(config, source)
    if source not in config.scans:
        return USUAL_MB
    most = max((candidates(config, attack) for attack in attacks), default=0)
    carried = sum(others.get(attack["attack"], 0) * times(attack) for attack in attacks)
    return USUAL_MB + round((ARRAYS * most + carried) * size.entries * 8 / 1e6)


def candidates(config: Run, attack: Mapping[str, Any]) -> int:
    """How many perturbations of one image an attack holds at once."""
    described, entry = attack["described"], config.attacks[attack["attack"]]
    arguments = described["arguments"]
    if not described.get("search"):
        return 1
    if entry.has_places:
        return int(arguments.get("grid", GRID) ** 2 * arguments.get("restarts", 1))
    return int(arguments.get("restarts", RESTARTS))


def said(path: str, name: str, usual: float) -> float:
    """What a class says in an attribute, or else what is usual."""
    found = class_attribute(path, name)
    return usual if found in (None, MISSING) else float(found)
