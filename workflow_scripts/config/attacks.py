"""The configuration of attacks: each entry is a class of `mrilib.attacks.kinds`, or one's own."""

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from workflow_scripts.config.entries import Entry, named
from workflow_scripts.config.methods import Grid
from workflow_scripts.config.strict import CHOSEN, EACH_ONCE, LISTED, Count, Fraction, Names, Number, Strict
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


class SearchTune(Strict):
    """An argument of a search that is chosen on validation images, for every method and domain.

    It is the value with the largest mean severity on the first `images`, of those with which no attack on
    them fails, at `level`, by default the largest level of the attack.
    """

    parameter: str
    grid: Grid
    images: Count = 3
    level: Fraction | None = None


class Attack(Entry):
    """What is maximised, where, and by which search.

    It is run on all sources under all masks with all methods at all levels, or on those named, and on all
    test images of a source, or on the first `images`. Without `search` it is that of the method.
    Levels are relative to the norm of the data, or of k-space before it was undersampled (`full`).
    `search_arguments` are those of `search`, and `tune` chooses one more.

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
    relative_to: Literal["data", "full"] = "data"
    search: Annotated[str, named("search")] | None = None
    search_arguments: dict[str, Any] = {}
    tune: SearchTune | None = None
    vary: Annotated[dict[str, Annotated[list[Number], LISTED, EACH_ONCE]], Field(max_length=1)] = {}

    @model_validator(mode="after")
    def _searched(self) -> "Attack":
        if self.search is not None and not self.needs_derivative:
            raise ValueError(f"search: {self.word} attacks follow no search; leave it out")
        for key in ("search_arguments", "tune"):
            if getattr(self, key) and self.search is None:
                raise ValueError(
                    f"{key}: expected search beside it, got none; name the search that it is for"
                )
        return self

    @property
    def described(self) -> dict[str, Any]:
        """Class and arguments, and whose norm levels are relative to where that is not usual."""
        return super().described | ({} if self.relative_to == "data" else {"relative_to": self.relative_to})

    @property
    def needs_derivative(self) -> bool:
        """Whether it follows a derivative; if so, other methods are given its perturbations."""
        return class_attribute(self.path, "needs_derivative") is not False

    @property
    def needs_seed(self) -> bool:
        """Whether it is for methods with a seed alone."""
        return class_attribute(self.path, "needs_seed") is True

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
