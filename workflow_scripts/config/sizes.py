"""Sizes of images, as far as they are known before anything is read, held against what is done with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from mrilib.data.calibration import NARROWEST
from mrilib.data.sampling.base import Sampling
from mrilib.store.classes import arguments_model, load_class
from workflow_scripts.config.config import Config
from workflow_scripts.config.scans import Selection, Simulated
from workflow_scripts.provenance import class_attribute

Shape = tuple[int, int]
# Columns that scans may have, where nothing is known of them.
WIDTHS = range(32, 1025)


def misfitting_sizes(config: Config) -> Iterator[str]:
    """One line for every mask, attack, network or count that is too large for its images."""
    yield from _masks(config)
    yield from _attacks(config)
    yield from _methods(config)
    for name, source in config.scans.items():
        for part, selection in source.sets.items():
            yield from _counts(config, f"images.{name}.{part}.count", selection)


def shapes_of(config: Config, source: str) -> list[Shape]:
    """Rows and columns of a source's images; none where they are not known."""
    if source not in config.scans:
        return [(config.size, config.size)]
    datasets = [config.datasets[each.dataset] for each in config.sets_of(source).values()]
    return list(dict.fromkeys((each.rows, each.columns) for each in datasets if isinstance(each, Simulated)))


def _masks(config: Config) -> Iterator[str]:
    places = [(source, mask) for source in config.images for mask in config.masks_for(source)]
    places += [(shift.source, shift.mask) for shift in config.shifts.values()]
    for name, mask in config.masks.items():
        sources = [source for source, other in dict.fromkeys(places) if other == name]
        drawn: Sampling = load_class(mask.path, Sampling)(**mask.arguments)
        yield from dict.fromkeys(
            f"masks.{name}{key}" for source in sources for key in _mask(config, drawn, source)
        )


def _mask(config: Config, drawn: Sampling, source: str) -> Iterator[str]:
    shapes = shapes_of(config, source)
    try:
        for shape in shapes:
            drawn.check(shape)
    except ValueError as error:
        yield f": {error}"
        return
    if not shapes and not any(_is_mask(drawn, width) for width in WIDTHS):
        try:
            drawn.check((WIDTHS[-1], WIDTHS[-1]))
        except ValueError as error:
            yield f": scans of any width: {error}"
    for shape in shapes if source in config.scans else ():
        centre = drawn.centre(shape)
        if centre is not None and min(centre) < NARROWEST:
            yield (
                f".center_fraction: the centre has {centre[1]} of {shape[1]} columns of {source}, and coil "
                f"maps need {NARROWEST}; raise it to at least {NARROWEST / shape[1]:.2g}"
            )


def _is_mask(drawn: Sampling, width: int) -> bool:
    try:
        drawn.check((width, width))
    except ValueError:
        return False
    return True


def _attacks(config: Config) -> Iterator[str]:
    for name, attack in config.attacks.items():
        sources = {
            each.source
            for each in config.usual
            if name in config.attacks_of(each.method, each.source, each.mask)
        }
        kind = load_class(attack.path, object)
        for variant in attack.variants:
            made = kind(**variant.arguments)
            for source in config.images:
                for shape in shapes_of(config, source) if source in sources else ():
                    try:
                        made.check_shape(shape)
                    except ValueError as error:
                        yield f"attacks.{name}: {source}: {error}"


def _methods(config: Config) -> Iterator[str]:
    for name, method in config.methods.items():
        sources = dict.fromkeys(each.source for each in config.applications if each.method == name)
        masks = dict.fromkeys(each.mask for each in config.applications if each.method == name)
        for argument, value in method.arguments.items():
            if not (isinstance(value, Mapping) and isinstance(value.get("class"), str)):
                continue
            where, found = f"methods.{name}.parameters.{argument}", load_class(value["class"], object)
            given = value.get("arguments") or {}
            check = getattr(found, "check_shape", None)
            arguments = dict(arguments_model(found).model_validate(given)) if check else {}
            for source in sources:
                for shape in shapes_of(config, source):
                    try:
                        check and check(shape, **arguments)
                    except ValueError as error:
                        yield f"{where}: {source}: {error}"
            for mask in masks:
                sampling = config.masks[mask]
                yield from _centres(where, given, mask, sampling.arguments)
                whole = class_attribute(sampling.path, "whole_columns")
                if class_attribute(value["class"], "whole_columns") and whole is False:
                    yield f"{where}: it needs masks of whole columns, unlike {mask}; name the method's masks"


def _centres(where: str, network: Mapping[str, Any], mask: str, sampling: Mapping[str, Any]) -> Iterator[str]:
    """A network that takes a wider centre than a mask samples."""
    own, sampled = network.get("center_fraction"), sampling.get("center_fraction")
    if own is not None and sampled is not None and own > sampled:
        yield (
            f"{where}.center_fraction: {mask} samples {sampled:g} of the columns in the centre, got {own:g}; "
            "give both the same"
        )


def _counts(config: Config, where: str, selection: Selection) -> Iterator[str]:
    """More slices than there are, where the config says how many."""
    dataset = config.datasets[selection.dataset]
    if not isinstance(dataset, Simulated) or selection.fewer:
        return
    most = selection.per_volume
    each = [drawn.count if most is None else min(drawn.count, most) for drawn in dataset.volumes.values()]
    if selection.count > sum(each):
        yield (
            f"{where}: {selection.dataset} has {sum(each)} slices, got {selection.count}; lower it, or add "
            "volumes, or say `fewer: true`"
        )
