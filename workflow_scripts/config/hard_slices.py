"""Sources of hard slices and of their control, held against the pool that they are chosen from."""

from mrilib.metrics.quantities import QUALITY
from workflow_scripts.config.errors import suggestion
from workflow_scripts.config.run import Run
from workflow_scripts.config.scans import Control, Hardest, Selection


def check_hard_slices(config: Run) -> None:
    """See that hard slices, and their control, can be chosen as the config says.

    Args:
        config: a run whose sources name masks, and shifts masks and sources, that there are.

    Raises:
        ValueError: at the first mistake, with the key's path.
    """
    hardest = {name: each.test for name, each in config.scans.items() if isinstance(each.test, Hardest)}
    for name, chosen in hardest.items():
        _check_pool(config, name, chosen)
        _check_judges(config, f"images.{name}.test", chosen)
    for name, source in config.scans.items():
        if isinstance(source.test, Control):
            _check_control(f"images.{name}.test", source.test, hardest)
    for name, source in config.scans.items():
        if not isinstance(source.test, Selection):
            _check_draws(config, name)


def _check_pool(config: Run, name: str, chosen: Hardest) -> None:
    pool = chosen.hardest_of
    pools = [other for other, each in config.scans.items() if isinstance(each.test, Selection)]
    if pool not in pools:
        raise ValueError(
            f"images.{name}.test.hardest_of: expected a source of scans whose test slices are of a dataset, "
            f"got {pool!r}{suggestion(pool, pools)}"
        )
    masks = config.masks_for(pool)
    if len(masks) != 1:
        raise ValueError(
            f"images.{pool}.masks: expected one mask, under which the slices for {name} are judged, got "
            f"{', '.join(masks) or 'none'}; name one"
        )
    count = config.count(pool)
    if not chosen.fewer and 2 * chosen.count > count:
        raise ValueError(
            f"images.{name}.test.count: expected at most half of the {count} slices of {pool}, so that the "
            f"others are a control, got {chosen.count}; lower it, enlarge the pool, or say `fewer: true`"
        )


def _check_judges(config: Run, where: str, chosen: Hardest) -> None:
    pool = chosen.hardest_of
    (mask,) = config.masks_for(pool)
    for method in chosen.by:
        if method not in config.methods:
            raise ValueError(
                f"{where}.by: {method!r} is not defined{suggestion(method, list(config.methods))}"
            )
        if not config.applies(method, pool, mask):
            raise ValueError(
                f"{where}.by: {method!r} is not applied to {pool} under {mask}; leave it out, or widen its "
                f"masks and sources, and the methods of {pool}"
            )
    known = [*QUALITY, *config.metrics]
    if chosen.quantity not in known:
        raise ValueError(
            f"{where}.quantity: {chosen.quantity!r} is not measured of reconstructions"
            f"{suggestion(chosen.quantity, known)}"
        )


def _check_control(where: str, control: Control, hardest: dict[str, Hardest]) -> None:
    if control.control_of not in hardest:
        raise ValueError(
            f"{where}.control_of: expected a source whose test has hardest_of, got {control.control_of!r}"
            f"{suggestion(control.control_of, list(hardest))}"
        )
    most = hardest[control.control_of].count
    if control.count > most:
        raise ValueError(
            f"{where}.count: {control.control_of} has {most} slices, got {control.count}; lower it"
        )


def _check_draws(config: Run, name: str) -> None:
    """Slices are not tested under the very masks by which they were chosen."""
    pool = config.pool_of(name)
    (judged,) = config.masks_for(pool)
    shifted = [shift.mask for shift in config.shifts.values() if shift.source == name]
    for mask in [*config.masks_for(name), *shifted]:
        if config.masks[mask].described == config.masks[judged].described:
            same = "" if mask == judged else f"{judged}, the same as "
            raise ValueError(
                f"images.{name}.masks: {pool} is judged under {same}{mask}, and a slice may be hard by that "
                "draw alone; measure one of the two under another draw, such as `draw: 1`"
            )
