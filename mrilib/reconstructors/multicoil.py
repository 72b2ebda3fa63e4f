"""Reconstruction of multi-coil k-space by trained networks."""

from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mrilib.operators.base import LinearOperator, MeasurementOperator, check_grid
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.reconstructors.trained import Module, built_module, load_parameters
from mrilib.store.checkpoints import DAMAGED, Checkpoint, read_checkpoint


class TrainedMultiCoil(Reconstructor):
    """`rec(y) = N(y, Ω)`: a network on the k-space of all coils and the operator's mask, not its coil maps.

    The network is called as `network(kspace, mask)`, `(batch, coil, ky, kx)` and `(1, ky, kx)`, and returns
    magnitudes `(batch, ky, kx)`; what it normalises is part of it, and nothing is rescaled here. A single
    coil's k-space, that of a `MaskedFourier` operator, is given to it as that of one coil. The network is
    given as a module, or as `{class: package.module:Name, arguments: {...}}`, which is how a config names it.

    Args:
        network: the network.
        checkpoint: file with the parameters, as this package writes it.
        published: file with fastMRI's published weights instead, or a Lightning checkpoint of fastMRI's own
            training: see `read_published`.

    Attributes:
        model: the network, in evaluation mode and in float32.
        network_takes, learns_from: as of `Trained`.

    Raises:
        ValueError: for an import path that names no module, arguments that the module does not take, a
            checkpoint or weights of another architecture, both of them, an operator without `mask`, and
            k-space that is real, not finite or of another shape than the mask.
    """

    family: ClassVar[str] = "trained"
    word: ClassVar[str] = "trained-multi-coil"
    network_takes: ClassVar[tuple[str, ...]] = ("coils",)
    learns_from: ClassVar[str] = "several coils"
    output: ClassVar[Literal["complex", "magnitude"]] = "magnitude"

    def __init__(
        self,
        *,
        network: Module,
        checkpoint: str | Path | Checkpoint | None = None,
        published: str | Path | None = None,
    ) -> None:
        if checkpoint is not None and published is not None:
            raise ValueError("TrainedMultiCoil: expected checkpoint or published, got both; leave one out")
        self.model: nn.Module = built_module(network, "network", "TrainedMultiCoil")
        if checkpoint is not None:
            where = "checkpoint" if isinstance(checkpoint, Checkpoint) else str(checkpoint)
            found = checkpoint if isinstance(checkpoint, Checkpoint) else read_checkpoint(checkpoint)
            load_parameters(self.model, found.state, where)
        if published is not None:
            load_published(self.model, published)
        # Convolutions of few channels are the faster for it, on CPUs as on GPUs.
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model.eval().requires_grad_(False)

    def __call__(self, kspace: Tensor, operator: LinearOperator) -> Tensor:
        """Magnitudes `(*batch, y, x)` of `kspace` `(*batch, coil, ky, kx)`, differentiable in it.

        For a single coil `kspace` is `(*batch, ky, kx)`.
        """
        check_kspace(kspace, "TrainedMultiCoil")
        mask = getattr(operator, "mask", None)
        if not isinstance(mask, Tensor):
            raise ValueError(
                f"TrainedMultiCoil: expected an operator with a mask, got {type(operator).__name__}"
            )
        check_grid(kspace, mask, "TrainedMultiCoil", "kspace")
        if isinstance(operator, MeasurementOperator) and operator.kspace_axes == 2:
            kspace = kspace.unsqueeze(-3)
        if kspace.ndim < 3:
            raise ValueError(
                f"TrainedMultiCoil: expected kspace (..., coil, ky, kx), got {tuple(kspace.shape)}; a single "
                "coil has a coil axis of length 1, or a MaskedFourier operator"
            )
        self.model.to(kspace.device)
        image = self.model(kspace.reshape(-1, *kspace.shape[-3:]), mask[None])
        return image.reshape(*kspace.shape[:-3], *image.shape[-2:])


def load_published(network: nn.Module, path: str | Path) -> None:
    """Give a network on fastMRI's models the weights that fastMRI published, or trained.

    Raises:
        ValueError: if the network takes none, the file cannot be read, or names or shapes differ.
    """
    name = getattr(network, "published", None)
    if name is None:
        raise ValueError(
            f"{type(network).__name__} takes no published weights; those of fastMRI belong to "
            "mrilib.networks.magnitude_unet:MagnitudeUnet(chans=256) and mrilib.networks.varnet:VarNet()"
        )
    load_parameters(network.get_submodule(name), read_published(path, prefix=f"{name}."), str(path))


def read_published(path: str | Path, *, prefix: str) -> dict[str, Tensor]:
    """Read a `state_dict` of fastMRI, onto the CPU; nothing in the file is executed.

    A Lightning checkpoint has it under `state_dict`, with a prefix before the names of the model's
    parameters. Where names have the prefix, it is taken off and those without it, such as the window of the
    SSIM loss, are left out.

    Args:
        path: such as `knee_leaderboard_state_dict.pt`.
        prefix: `unet.` or `varnet.`.

    Raises:
        ValueError: if the file is missing, damaged, needs unpickling, or holds anything but tensors by name.
    """
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file; download fastMRI's weights, or mend the path")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except DAMAGED as error:
        raise ValueError(
            f"{path}: not readable as tensors alone ({error}); download it again, or save the state_dict "
            "of a checkpoint of your own to a file"
        ) from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in found.items()
    ):
        raise ValueError(
            f"{path}: expected a state_dict, tensors by name, or a Lightning checkpoint with one, got "
            f"{sorted(map(str, found))[:5] if isinstance(found, dict) else type(found).__name__}"
        )
    own = {name.removeprefix(prefix): value for name, value in found.items() if name.startswith(prefix)}
    return own or dict(found)
