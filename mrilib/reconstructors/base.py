"""What every method is: a map from k-space to an image, differentiable in k-space."""

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from mrilib.operators.base import LinearOperator
from mrilib.solvers.solution import Solution, Status


class Reconstructor(ABC):
    """`image = reconstructor(kspace, operator)`; leading axes of `kspace` are a batch.

    Attributes:
        output: `complex`, or `magnitude` for methods that return moduli.
        search: import path of the attack's search that suits the method best; the config may name
            another. A path and not a class, so that generic code depends on no search in particular.
    """

    output: ClassVar[Literal["complex", "magnitude"]] = "complex"
    search: ClassVar[str] = "mrilib.attacks.pgd:GradientAscent"

    @abstractmethod
    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Reconstruct, differentiably in `kspace`."""

    def solve(
        self, kspace: Tensor, operator: LinearOperator, *, start: Any = None, throw: bool = True
    ) -> Solution:
        """Reconstruct without derivative, and say how it went.

        Args:
            kspace: `(*batch, ky, kx)`.
            operator: what measured it.
            start: `Solution.state` of a nearby problem, for methods that can use one.
            throw: raise if an iterative method does not reach its accuracy; else its status says so.
        """
        with torch.no_grad():
            return Solution(self(kspace, operator), Status.CONVERGED, {})


def load_class(path: str, kind: type) -> Any:
    """The class that an import path like `mrilib.attacks.pgd:GradientAscent` names.

    Raises:
        ValueError: if the path is malformed, does not exist, or names no subclass of `kind`.
    """
    module, _, name = path.partition(":")
    if not module or not name:
        raise ValueError(f"import path {path!r}: expected package.module:ClassName")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"import path {path!r}: {error}; check the spelling and PYTHONPATH") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        raise ValueError(f"import path {path!r}: expected a subclass of {kind.__name__}, got {found!r}")
    return found


def built(given: Any, kind: type, name: str, where: str, *, such: str) -> Any:
    """The object, made if a config names it: `{class: package.module:Name, arguments: {...}}`.

    Args:
        given: an instance of `kind`, or what a config has.
        kind: class that it is to be of.
        name: of the argument, for messages.
        where: who asks.
        such: what an instance is called, with its article.

    Raises:
        ValueError: if it names none, or with arguments that it does not take; says so of `name`, in `where`.
    """
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping) or "class" not in given or given.keys() - {"class", "arguments"}:
        raise ValueError(
            f"{where}: expected {name} as {such} or as {{class: package.module:Name, arguments: {{...}}}}, "
            f"got {given!r}"
        )
    found = load_class(given["class"], kind)
    try:
        return found(**given.get("arguments", {}))
    except TypeError as error:
        raise ValueError(f"{where}: {name} {given['class']}: {error}") from error


def check_kspace(kspace: Tensor, where: str) -> None:
    """Raise `ValueError` unless `kspace` is complex and finite."""
    if not kspace.is_complex():
        raise ValueError(
            f"{where}: expected complex kspace, got {kspace.dtype}; convert with .to(torch.complex64)"
        )
    if not bool(torch.isfinite(torch.view_as_real(kspace.detach())).all()):
        raise ValueError(f"{where}: kspace holds NaN or infinite entries; repair or reject the scan")
