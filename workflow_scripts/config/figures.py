"""The configuration of the figures that show single images."""

from typing import Annotated

from pydantic import Field

from workflow_scripts.config.strict import EACH_ONCE, LISTED, Fraction, Name, Strict

# Rows of a figure of several methods; with more, images are too small.
MOST_ROWS = 4
# The comparison of the figures' own methods.
OWN = "methods"


class Example(Strict):
    """An image that the picture figures show, under a mask: by default that of the figures."""

    source: Name
    position: Annotated[int, Field(ge=0)] = 0
    mask: Name | None = None


class Comparison(Strict):
    """Methods side by side, each under its own perturbation: by default those of the figures' attack."""

    methods: Annotated[list[Name], LISTED, EACH_ONCE, Field(max_length=MOST_ROWS)]
    attack: Name | None = None
    level: Fraction | None = None


class Figures(Strict):
    """What the picture figures show: every method on every example that it is applied to.

    One more figure of every example has the methods side by side, and one each of `comparisons`.
    """

    examples: Annotated[list[Example], LISTED, EACH_ONCE]
    methods: Annotated[list[Name], LISTED, EACH_ONCE, Field(max_length=MOST_ROWS)]
    mask: Name
    attack: Name
    level: Fraction
    comparisons: dict[Name, Comparison] = {}

    @property
    def compared(self) -> dict[str, Comparison]:
        """The figures' own methods, then the comparisons, all with their attack and level."""
        every = {OWN: Comparison(methods=self.methods)} | self.comparisons
        return {
            name: each.model_copy(
                update={
                    "attack": each.attack or self.attack,
                    "level": self.level if each.level is None else each.level,
                }
            )
            for name, each in every.items()
        }
