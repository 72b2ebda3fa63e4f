"""The configuration of the figures that show single images."""

from typing import Annotated

from pydantic import Field

from workflow_scripts.config.strict import EACH_ONCE, LISTED, Fraction, Name, Strict


class Example(Strict):
    """An image that the picture figures show, under a mask: by default that of the figures."""

    source: Name
    position: Annotated[int, Field(ge=0)] = 0
    mask: Name | None = None


class Figures(Strict):
    """What the picture figures show: every method on every example that it is applied to."""

    examples: Annotated[list[Example], LISTED, EACH_ONCE]
    methods: Annotated[list[Name], LISTED, EACH_ONCE, Field(max_length=4)]
    mask: Name
    attack: Name
    level: Fraction
