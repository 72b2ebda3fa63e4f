"""Attacks as entries of a config have them, for tests."""

from mrilib.jobs.perturbations import Attack

KINDS = {
    "localized": "mrilib.attacks.kinds.localized:Localized",
    "global": "mrilib.attacks.kinds.whole:Global",
    "gaussian": "mrilib.attacks.kinds.gaussian:Gaussian",
}


def attack_of(entry):
    """The attack of an entry by its word, with its arguments beside it."""
    own = ("kind", "search", "search_arguments")
    arguments = {name: value for name, value in entry.items() if name not in own}
    return Attack.of(entry | {"class": KINDS[entry["kind"]], "arguments": arguments})
