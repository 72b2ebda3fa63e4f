"""Attacks as entries of a config have them, for tests."""

from mrilib.jobs.perturbations import Attack

KINDS = {
    "localized": "mrilib.attacks.kinds.localized:Localized",
    "global": "mrilib.attacks.kinds.whole:Global",
    "gaussian": "mrilib.attacks.kinds.gaussian:Gaussian",
    "refit": "mrilib.attacks.kinds.refit:Refit",
}


def entry_of(name, entry, *, levels, **more):
    """An attack as jobs are told of it."""
    own = ("kind", "search", "search_arguments", "relative_to", "impossible")
    arguments = {key: value for key, value in entry.items() if key not in own}
    told = {key: value for key, value in entry.items() if key in own[1:]}
    described = {"class": KINDS[entry["kind"]], "arguments": arguments} | told
    found = {"attack": name, "described": described, "levels": levels, "factors": [1.0]}
    return found | {"varied": "", "value": None, "number": None} | more


def attack_of(entry):
    """The attack of an entry by its word, with its arguments beside it."""
    return Attack.of(entry_of("", entry, levels=[])["described"])
