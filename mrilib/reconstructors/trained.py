"""Reconstruction by trained networks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Complex
from torch import Tensor, nn

from mrilib.operators.base import LinearOperator, MeasurementOperator
from mrilib.operators.channels import to_channels, to_complex
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.store.checkpoints import Checkpoint, read_checkpoint
from mrilib.store.classes import built

Module = nn.Module | Mapping[str, Any]


class ReconstructionNetwork(nn.Module):
    """From k-space to the image, as it is trained: see `Trained`.

    Args:
        network: an image network, `(batch, 2, y, x)` to the same, or one with `takes = "kspace"`.
        inverse: from k-space `(batch, ky, kx)` of a single coil to an image, in place of `Aᴴ`.
        residual: add the network's output to its input.
    """

    def __init__(self, network: nn.Module, inverse: nn.Module | None, residual: bool) -> None:
        super().__init__()
        self.network, self.inverse, self._residual = network, inverse, residual

    def forward(
        self, kspace: Complex[Tensor, "*batch_and_coil ky kx"], operator: LinearOperator
    ) -> Complex[Tensor, "*batch y x"]:
        if getattr(self.network, "takes", "image") == "kspace":
            axes = 3 if of_coils(operator) else 2
            image = self.network(kspace.reshape(-1, *kspace.shape[-axes:]), operator)
            return image.reshape(*kspace.shape[:-axes], *image.shape[-2:])
        if self.inverse is None:
            image = operator.adjoint(kspace)
        else:
            image = self.inverse(kspace.reshape(-1, *kspace.shape[-2:])).reshape(kspace.shape)
        channels = to_channels(image.reshape(-1, *image.shape[-2:]))
        output = self.network(channels)
        if output.shape != channels.shape:
            raise ValueError(
                f"{type(self.network).__name__}: expected output {tuple(channels.shape)} like its input "
                f"(real and imaginary part as channels), got {tuple(output.shape)}"
            )
        output = to_complex(output).reshape(image.shape)
        return image + output if self._residual else output


def of_coils(operator: LinearOperator) -> bool:
    """Whether the operator's k-space has a coil axis."""
    return isinstance(operator, MeasurementOperator) and operator.kspace_axes == 3


class Trained(Reconstructor):
    """`rec(y) = x₀ + N(x₀)` for a network `N` on real and imaginary part, `x₀ = Aᴴy`.

    A network with the attribute `takes = "kspace"` is called as `network(kspace, operator)` instead and
    returns the complex image. A module is given as such, or as `{class: package.module:Name, arguments:
    {...}}`, which is how a config names it. In a single-coil measurement `Aᴴ = A†`; of several coils it
    combines the images by their maps.

    Args:
        network: a `torch.nn.Module`, `(batch, 2, y, x)` to the same.
        inverse: a module from k-space `(batch, ky, kx)` to the image, in place of `Aᴴ`: the learned
            inverse of TiraFL. For a single coil only.
        residual: whether `x₀` is added to the output.
        checkpoint: file with the parameters; without one they are those of the module.

    Raises:
        ValueError: for an import path that names no module, arguments that the module does not take, a
            checkpoint of another architecture, k-space of another shape than the checkpoint's, k-space
            that is real or not finite, and an `inverse` with several coils.

    Attributes:
        network_takes: what its networks may take, as their attribute `takes` says: `image`, two channels;
            `kspace`, with the operator; `coils`, k-space of coils with the mask; `nothing` but a fixed input.
        learns_from: what a workflow may train it on: measurements of a single coil, or of several.

    Source: [alaifari2023], section 4. The network is in evaluation mode and in float32.
    """

    family: ClassVar[str] = "trained"
    word: ClassVar[str] = "trained"
    network_takes: ClassVar[tuple[str, ...]] = ("image", "kspace")
    learns_from: ClassVar[str] = "one coil"

    def __init__(
        self,
        *,
        network: Module,
        inverse: Module | None = None,
        residual: bool = True,
        checkpoint: str | Path | Checkpoint | None = None,
    ) -> None:
        self.model = ReconstructionNetwork(
            built_module(network, "network", "Trained"),
            None if inverse is None else built_module(inverse, "inverse", "Trained"),
            residual,
        )
        self._shape: tuple[int, ...] | None = None
        if checkpoint is not None:
            self._load(checkpoint)
        # Convolutions of few channels are the faster for it, on CPUs as on GPUs.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.eval().requires_grad_(False)

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Image `(*batch, y, x)` of `kspace` `(*batch, ky, kx)`, differentiable in it.

        Of several coils `kspace` is `(*batch, coil, ky, kx)`.
        """
        check_kspace(kspace, "Trained")
        if self._shape is not None and tuple(kspace.shape[-2:]) != self._shape:
            raise ValueError(
                f"Trained: expected k-space (..., {self._shape[0]}, {self._shape[1]}), for which the network "
                f"was trained, got {tuple(kspace.shape)}; resize the images or train for this size"
            )
        if self.model.inverse is not None and of_coils(operator):
            raise ValueError(
                f"Trained: {type(self.model.inverse).__name__} inverts the k-space of a single coil, got "
                f"{tuple(kspace.shape)} measured by {type(operator).__name__}; leave inverse out"
            )
        self.model.to(kspace.device)
        return self.model(kspace, operator)

    def _load(self, checkpoint: str | Path | Checkpoint) -> None:
        where = "checkpoint" if isinstance(checkpoint, Checkpoint) else str(checkpoint)
        found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
        load_parameters(self.model, found.state, where)
        if "shape" in found.about:
            self._shape = tuple(found.about["shape"])


def load_parameters(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Give `model` the parameters of a checkpoint.

    Raises:
        ValueError: if names or shapes differ: the checkpoint is of another architecture.
    """
    own = model.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    shapes = [
        f"{name} {tuple(state[name].shape)} instead of {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    parts = [
        f"{len(names)} {text}, as {names[0]}"
        for names, text in (
            (missing, "parameters are missing"),
            (unexpected, "do not belong to it"),
            (shapes, "have another shape"),
        )
        if names
    ]
    if parts:
        raise ValueError(
            f"{where}: not a checkpoint of this network: {'; '.join(parts)}; "
            "use the network and the arguments it was trained with, or train again"
        )
    model.load_state_dict(dict(state))


def start_from(model: ReconstructionNetwork, state: Mapping[str, Tensor], where: str) -> None:
    """Give the model's image network the parameters of another method's; its inverse keeps its own.

    Raises:
        ValueError: if they are those of another architecture.
    """
    prefix = "network."
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    load_parameters(model.network, own, where)


def built_module(module: Module, name: str, where: str) -> nn.Module:
    """The network, made if a config names it: see `built`."""
    return built(module, nn.Module, name, where, such="a module")
