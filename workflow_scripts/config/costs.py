"""What attacks should take, by which their jobs ask for time and memory: estimated from sizes and classes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from workflow_scripts.config.domains import Application
from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import Simulated
from workflow_scripts.provenance import MISSING, class_attribute

# Seconds of a search that does not say: at one level on 256² pixels of one coil, and of the whole image on
# `LARGE`; both are estimated for networks on a GPU. Of a reconstruction there, by methods that do not say.
USUAL_SECONDS, USUAL_ON_COILS, USUAL_RECONSTRUCTION = 15.0, 40.0, 1.0
# On coils an attack on places takes so many times that on the whole image: 3 by gradients, 9 coupled.
PLACED = 6
# Reconstructions that judge an attack at a level: what a search keeps, a spike, noise; more if repeated.
JUDGED = 5
# MB of any job, torch with CUDA among them; arrays of k-space that a search holds of each candidate, with
# those on their way between memories.
USUAL_MB, ARRAYS = 4000, 8
# What kinds of attack have where an entry does not say: places along an axis, restarts.
GRID, RESTARTS = 8, 2


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
    dataset = config.datasets[config.scans[source].test.dataset]
    if isinstance(dataset, Simulated):
        return Size(dataset.coils, dataset.rows, dataset.columns)
    return LARGE


def seconds(
    config: Run, applied: Application, attacks: Iterable[Mapping[str, Any]], others: int = 0
) -> float:
    """Seconds of a job's attacks on one image: `Σ levels·(search + reconstructions that judge)`.

    Classes say what a search takes at one level, on 256² pixels of one coil (`seconds`) and of the whole
    image on `LARGE` (`seconds_on_coils`; of methods: a reconstruction), in proportion to entries of k-space.

    Args:
        config: the run.
        applied: what is attacked.
        attacks: entries of a job: `described`, `levels`, `factors`.
        others: methods whose perturbations are reconstructed from as well, by every attack at every level.
    """
    size = size_of(config, applied.source)
    several = applied.source in config.scans
    scale = size.entries / (LARGE.entries if several else 256**2)
    name = "seconds_on_coils" if several else "seconds"
    usual = USUAL_ON_COILS if several else USUAL_SECONDS
    each = said(config.methods[applied.method].reconstructor, name, USUAL_RECONSTRUCTION) if several else 0.0
    total = 0.0
    for attack in attacks:
        search = attack["described"].get("search")
        times = len(attack["levels"]) * len(attack["factors"])
        searching = said(search, name, usual) if search else (0.0 if several else USUAL_SECONDS)
        searching *= PLACED if several and config.attacks[attack["attack"]].has_places else 1
        total += times * (searching + (others + (JUDGED if search else 1)) * each)
    return total * scale


def memory_mb(config: Run, source: str, attacks: Sequence[Mapping[str, Any]], others: int = 0) -> int:
    """MB of memory of a job's attacks on one image, whose candidates are held all at once.

    Args:
        config, attacks, others: as of `seconds`; others' perturbations are held to the end of the job.
        source: of the image.
    """
    size = size_of(config, source)
    if source not in config.scans:
        return USUAL_MB
    most = max((candidates(config, attack) for attack in attacks), default=0)
    carried = others * sum(len(attack["levels"]) * len(attack["factors"]) for attack in attacks)
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
