"""Entries that come to nothing: methods that are applied nowhere or cannot learn, attacks never run."""

from collections.abc import Iterator

from workflow_scripts.config.run import Run
from workflow_scripts.provenance import class_attribute


def unused(config: Run) -> Iterator[str]:
    """One line for every method, attack, study and shift that is left without an image."""
    applied = {each.method for each in config.usual}
    for name in config.methods:
        if name not in applied:
            yield (
                f"methods.{name}: it is applied to no source under any mask; widen its masks or sources, or "
                "leave it out"
            )
    for name, source in config.images.items():
        here = {each.method for each in config.applications if each.source == name}
        for method in source.methods or []:
            if method not in here:
                yield (
                    f"images.{name}.methods: {method!r} is not applied to {name}, for it has other sources "
                    "or masks; leave it out, or widen those"
                )
    for name, domain in config.trainings:
        source = config.domain(domain).source
        learns = class_attribute(config.methods[name].reconstructor, "learns_from")
        if learns and learns != ("several coils" if source in config.scans else "one coil"):
            yield (
                f"methods.{name}.reconstructor: it learns from {learns}, and not from {source}; name the "
                "sources of the method, or take another reconstructor"
            )
    run = {
        attack for each in config.usual for attack in config.attacks_of(each.method, each.source, each.mask)
    }
    for name in config.attacks:
        if name not in run:
            yield (
                f"attacks.{name}: it is run on no method; widen its masks, methods, sources, or leave it out"
            )
    studied = {
        feature
        for each in config.usual
        for feature in config.features_of(each.method, each.source, each.mask)
    }
    for name in config.features:
        if name not in studied:
            yield (
                f"features.{name}: it is run on no method; widen its masks, methods, sources, or leave it out"
            )
    for name, shift in config.shifts.items():
        pair = config.domain(shift.domain)
        for method in shift.methods or []:
            if not config.applies(method, pair.source, pair.mask):
                yield (
                    f"shifts.{name}.methods: {method!r} is not applied to {pair.source} under {pair.mask}, "
                    "its domain; leave it out"
                )
            elif not config.takes(shift.source, method):
                yield (
                    f"shifts.{name}.methods: {method!r} is not among the methods of {shift.source}; leave it "
                    "out, or name it there"
                )
        home = [method for method in config.adapted if config.applies(method, pair.source, pair.mask)]
        if not home:
            yield f"shifts.{name}: no method is tuned or trained on {shift.domain}; leave it out"
        elif not any(config.takes(shift.source, method) for method in home):
            yield (
                f"shifts.{name}: none of the methods of {shift.source} is tuned or trained on "
                f"{shift.domain}; leave it out"
            )
