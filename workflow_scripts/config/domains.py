"""The configuration of what methods are tuned and trained on, and of where else they are applied."""

from typing import NamedTuple

from workflow_scripts.config.strict import Name, Names, Strict


class Application(NamedTuple):
    """A method of a domain, applied to a source under a mask."""

    method: str
    domain: str
    source: str
    mask: str


class Domain(Strict):
    """A named pair of a source and a mask, which methods are tuned and trained on."""

    source: Name
    mask: Name


class Shift(Strict):
    """Tuned and trained methods of one domain, applied to a source under a mask that are not its own.

    `domain` is the name of a domain, or `source@mask`. With `attacks` they are attacked there as well.
    """

    domain: str
    source: Name
    mask: Name
    methods: Names | None = None
    attacks: bool = False
