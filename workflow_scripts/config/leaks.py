"""Test images that a method has seen: in its training, or when its parameter was chosen."""

from collections.abc import Iterator
from pathlib import Path

from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import FastMRI, Raw, Selection, Stanford, Volumes

MEND = (
    "divide the dataset by `split` and take a part for each, or name volumes of other patients as a dataset"
)


def leaks(config: Run) -> Iterator[str]:
    """One line for every two sets of slices that may share a patient and must not."""
    for name in config.scans:
        parts = list(config.sets_of(name).items())
        for number, (later, selection) in enumerate(parts):
            for earlier, other in parts[:number]:
                if shared := _shared(config, selection, other):
                    yield f"images.{name}.{later}: {earlier} may have the same patients: {shared}; {MEND}"
    seen = set()
    for applied in config.applications:
        home = config.domain(applied.domain).source
        knows = ["validation"] if applied.method in config.tuned else []
        knows += ["train", "validation"] if applied.method in config.trained else []
        if applied.source == home or applied.source not in config.scans:
            continue
        for part in dict.fromkeys(knows):
            place = (applied.source, home, part)
            selection, test = config.sets_of(home).get(part), config.sets_of(applied.source)["test"]
            if place in seen or selection is None:
                continue
            seen.add(place)
            if shared := _shared(config, test, selection):
                yield (
                    f"images.{applied.source}.test: {part} of {home}, by which {applied.method} is made, may "
                    f"have the same patients: {shared}; {MEND}"
                )


def _shared(config: Run, first: Selection, second: Selection) -> str:
    """What two sets both take from; empty for nothing."""
    one, other = (config.datasets[each.dataset] for each in (first, second))
    common = first.dataset if first.dataset == second.dataset else _common(one, other)
    if not common:
        return ""
    # Patients are dealt out alike where the fractions are.
    if one.split == other.split and first.split and second.split:
        return f"both are the part {first.split!r} of {common}" if first.split == second.split else ""
    return f"both take from {common}"


def _common(one: Volumes, other: Volumes) -> str:
    """A folder, archive or file that two datasets both take volumes from; empty for none."""
    if isinstance(one, FastMRI) and isinstance(other, FastMRI):
        places = ({*map(_real, each.folders), *each.archives} for each in (one, other))
        if one.volumes and other.volumes and not _stems(one) & _stems(other):
            return ""
    elif isinstance(one, Stanford) and isinstance(other, Stanford):
        places = (set(each.volumes) for each in (one, other))
    elif isinstance(one, Raw) and isinstance(other, Raw):
        places = ({_real(each.file) for each in dataset.volumes.values()} for dataset in (one, other))
    else:
        return ""
    return min(set.intersection(*places), default="")


def _real(path: str) -> str:
    return str(Path(path).absolute())


def _stems(dataset: FastMRI) -> set[str]:
    return {Path(volume).stem for volume in dataset.volumes or []}
