"""Names that users choose, held against the project's own words and against each other."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mrilib.experiments.columns import COLUMNS
from mrilib.metrics.quantities import QUANTITIES
from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import FastMRI, Stanford

# What stands for no perturbation: in files of attacks, in names of tuned values, in figures.
CLEAN = "clean"
# Columns that tables make beside those of scores.
DERIVED = {"number", "missing", "stage", "mean", "median", "sd", "low", "high", "n", "flagged", "quantity"}
DERIVED |= {"series", "limit", "search", "table", "unit", "paper", "paper_sd"}
# Tables and figures of every run, and what the names of its other figures begin with.
TABLES = {"catalogue", "costs", "quality", "table-1"}
TABLES |= {name for name, each in QUANTITIES.items() if each.tabled}
TABLES |= {f"transfer-{name}" for name, each in QUANTITIES.items() if each.transferred}
CURVES = {"error", "ssim", "psnr", "severity", "amplification", "weight", "curves"}
PICTURES = (
    *("noise", "mask", "image", "attack", "levels", "map", "transfer", "training", "quality"),
    *("reconstructions", "perturbed", "thumbnails", "annotations", "boxes", "shift"),
)


def misnamed(config: Run) -> Iterator[str]:
    """One line for every name that collides: with a word of the project, with another name, with a file."""
    families: dict[str, Iterable[str]] = {
        family: getattr(config, family)
        for family in (
            *("datasets", "annotations", "images", "masks", "domains", "methods", "attacks", "metrics"),
            *("features", "theory", "experiments"),
        )
    }
    volumes = {f"datasets.{name}.volumes": each.names for name, each in config.datasets.items()}
    for where, names in (families | volumes).items():
        yield from _alike(where, names)
    for family in ("images", "masks", "domains", "methods", "attacks"):
        for name in families[family]:
            if name.lower() == CLEAN:
                yield f"{family}.{name}: {CLEAN!r} stands for data without a perturbation; choose another"
    for family, taken in (("methods", {*COLUMNS, *DERIVED}), ("metrics", {*COLUMNS, *DERIVED, CLEAN})):
        for name in families[family]:
            if name in taken:
                yield f"{family}.{name}: scores have a column of this name; choose another"
    for name in config.methods:
        if name in PICTURES:
            yield f"methods.{name}: figures of every run are called so; choose another name"
    yield from _experiments(config)
    yield from _labels(config)
    yield from _files(config)
    yield from _downloads(config)


def _alike(where: str, names: Iterable[str]) -> Iterator[str]:
    """Names that differ in capitals alone: some file systems take them for one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            yield (
                f"{where}.{name}: {other!r} differs in capitals alone, and some file systems take both for "
                "one; choose another name"
            )


def _experiments(config: Run) -> Iterator[str]:
    for name in config.experiments:
        if name.lower() in TABLES | CURVES:
            yield f"experiments.{name}: a table or figure of every run is called so; choose another name"
        elif start := next((word for word in PICTURES if name.lower().startswith(f"{word}-")), None):
            yield (
                f"experiments.{name}: figures of the run begin with {start}-; choose another name, such as "
                f"my-{name}"
            )


def _labels(config: Run) -> Iterator[str]:
    """Two methods that tables would call the same."""
    seen: dict[str, str] = {}
    for name, method in config.methods.items():
        label = method.label or name
        other = seen.setdefault(label, name)
        if other != name:
            yield f"methods.{name}.label: {label!r} is what {other} is called; give each a label of its own"


def _files(config: Run) -> Iterator[str]:
    """Two things whose figures would be one file: its name joins theirs by dashes, as they may."""
    pairs = [(source, mask) for source in config.images for mask in config.masks_for(source)]
    yield from _joined("masks", {pair: "-".join(pair).lower() for pair in pairs})
    if config.figures is None:
        return
    examples = [(each.source, each.position) for each in config.figures.examples]
    for place in dict.fromkeys(examples):
        if examples.count(place) > 1:
            yield (
                f"figures.examples: {place[0]} {place[1]} stands there {examples.count(place)} times, and "
                "its pictures are called by source and position alone; keep one"
            )
    shown = [(method, source) for method in config.figures.methods for source, _ in examples]
    yield from _joined("methods", {pair: "-".join(pair).lower() for pair in shown})
    compared = [(name, source) for name in config.figures.compared for source, _ in examples]
    yield from _joined("figures.comparisons", {pair: "-".join(pair).lower() for pair in compared})


def _joined(family: str, files: Mapping[tuple[str, str], str]) -> Iterator[str]:
    seen: dict[str, tuple[str, str]] = {}
    for pair, file in files.items():
        other = seen.setdefault(file, pair)
        if other != pair:
            name = pair[1] if family == "masks" else pair[0]
            yield (
                f"{family}.{name}: figures of {' and '.join(pair)} would have the name of those of "
                f"{' and '.join(other)}, {file}; choose another name"
            )


def _downloads(config: Run) -> Iterator[str]:
    """Files that would be fetched for two things, or into a run's own folder."""
    run, downloads = (Path(path).absolute() for path in (f"results/{config.run}", config.downloads))
    if {"{", "}"} & set(config.downloads):
        yield f"downloads: expected a path without braces, got {config.downloads!r}; rename the folder"
    within = [downloads / kind for kind in ("stanford", "fastmri")]
    if downloads.is_relative_to(run) or any(map(run.is_relative_to, within)):
        yield (
            f"run: {config.run!r} has its results in results/{config.run}, where downloads lie as well "
            f"({config.downloads}); choose another name, or another folder for downloads"
        )
    volumes: dict[str, tuple[str, str]] = {}
    for name, dataset in config.datasets.items():
        if isinstance(dataset, Stanford):
            for volume in dataset.volumes:
                url, other = volumes.setdefault(volume.lower(), (dataset.url, name))
                if url != dataset.url:
                    yield (
                        f"datasets.{name}.volumes: {volume} is fetched from {url} for {other}; name it once"
                    )
        if isinstance(dataset, FastMRI):
            yield from _repeated(f"datasets.{name}.folders", dataset.folders)
            yield from _repeated(f"datasets.{name}.archives", dataset.archives)
            stems = [Path(volume).stem for volume in dataset.volumes or []]
            yield from _repeated(f"datasets.{name}.volumes", stems)
            listed = {f"{archive}.txt" for archive in dataset.archives}
            for archive in listed & set(dataset.archives):
                yield f"datasets.{name}.archives: {archive} is the name of a list that is made; leave it out"


def _repeated(where: str, values: list[str]) -> Iterator[str]:
    for value in dict.fromkeys(values):
        if values.count(value) > 1:
            yield f"{where}: expected each once, got {value!r} {values.count(value)} times; keep one"
