"""The configuration of attacks: each entry is a class of `mrilib.attacks.kinds`, or one's own."""

from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import Field

from workflow_scripts.config.entries import Entry, named
from workflow_scripts.config.strict import CHOSEN, EACH_ONCE, LISTED, Count, Fraction, Names, Number
from workflow_scripts.provenance import class_attribute

# In `vary`: multiples of the method's tuned parameter, instead of values of an argument.
FACTOR = "factor"


class Variant(NamedTuple):
    """An attack as it is run: the entry itself, or one of the values that it varies.

    Args:
        arguments: of the kind.
        factors: multiples of the tuned parameter.
        varied: name of what is varied, or "".
        value: its value; `None` where nothing is, and where multiples are.
        number: which of the values of an argument; `None` where none is varied.
    """

    arguments: dict[str, Any]
    factors: list[int | float]
    varied: str
    value: int | float | None
    number: int | None


class Attack(Entry):
    """What is maximised, where, and by which search.

    It is run on all sources under all masks with all methods at all levels, or on those named, and on all
    test images of a source, or on the first `images`. Without `search` it is that of the method.

    `vary: {argument: [values]}` runs it once for every value of one argument, `vary: {factor: [values]}` at
    multiples of the method's tuned parameter. Such results are for an experiment of their own: they stand in
    no table of attacks, and are given to no other method.
    """

    family: ClassVar[str] = "attack"

    masks: Names | None = None
    methods: Names | None = None
    sources: Names | None = None
    levels: Annotated[list[Fraction], CHOSEN, EACH_ONCE] | None = None
    images: Count | None = None
    search: Annotated[str, named("search")] | None = None
    vary: Annotated[dict[str, Annotated[list[Number], LISTED, EACH_ONCE]], Field(max_length=1)] = {}

    @property
    def needs_derivative(self) -> bool:
        """Whether it follows a derivative; if so, other methods are given its perturbations."""
        return class_attribute(self.path, "needs_derivative") is not False

    @property
    def has_places(self) -> bool:
        """Whether results have severities by place."""
        return class_attribute(self.path, "has_places") is True

    @property
    def artifact(self) -> str:
        """What is measured of methods that return complex images."""
        return str(self.arguments.get("artifact", "complex"))

    @property
    def variants(self) -> list[Variant]:
        """The entry, or one for each value that it varies."""
        for name, values in self.vary.items():
            if name == FACTOR:
                return [Variant(self.arguments, [value], name, value, None) for value in values]
            return [
                Variant(self.arguments | {name: value}, [1.0], name, value, number)
                for number, value in enumerate(values)
            ]
        return [Variant(self.arguments, [1.0], "", None, None)]
