"""Some frequencies of signals in one dimension: the measurement of exact recovery, in double precision."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Int
from torch import Tensor

Spectrum = Complex[Tensor, "*batch size"]


@dataclass(frozen=True)
class PartialFourier:
    """`(Az)_f = Σ_j z_j exp(−2πi f j/n)/√n` for the frequencies `f` of each item's set, and 0 for the others.

    `AAᴴ` is the identity on what is measured, so that `AᴴA` is a projection. Frequencies stand in the order
    of `torch.fft.fft`: `f` mod `n`.

    Args:
        mask: which of the `n` frequencies are measured, item by item.
    """

    mask: Bool[Tensor, "*batch size"]

    @property
    def size(self) -> int:
        return int(self.mask.shape[-1])

    def forward(self, signal: Spectrum) -> Spectrum:
        return torch.fft.fft(signal, norm="ortho") * self.mask

    def adjoint(self, spectrum: Spectrum) -> Spectrum:
        return torch.fft.ifft(spectrum * self.mask, norm="ortho")

    def seen(self, signal: Spectrum) -> Spectrum:
        """`AᴴAz`: the part of a signal that is measured."""
        return self.adjoint(torch.fft.fft(signal, norm="ortho"))

    def solving(self, signal: Spectrum, data: Spectrum) -> Spectrum:
        """The nearest signal with `Az = data`."""
        return signal + torch.fft.ifft(data - self.forward(signal), norm="ortho")

    def __getitem__(self, items: Tensor) -> "PartialFourier":
        return PartialFourier(self.mask[items])

    def gram(
        self, index: Int[Tensor, "*batch support"], valid: Bool[Tensor, "*batch support"]
    ) -> Complex[Tensor, "*batch support support"]:
        """`A_SᴴA_S` of the columns of `A` at `index`; the identity where an entry is not `valid`.

        Entry `(j, k)` is `k(j − k)` with `k(d) = Σ_f exp(2πi f d/n)/n`.
        """
        kernel = torch.fft.ifft(self.mask.to(torch.complex128))
        apart = (index.unsqueeze(-1) - index.unsqueeze(-2)) % self.size
        matrix = kernel.gather(-1, apart.flatten(-2)).view(apart.shape)
        both = valid.unsqueeze(-1) & valid.unsqueeze(-2)
        single = torch.eye(index.shape[-1], dtype=torch.complex128, device=index.device)
        return torch.where(both, matrix, single)


def frequency_mask(frequencies: Int[Tensor, "*batch samples"], size: int) -> Bool[Tensor, "*batch size"]:
    """Which of `n = size` frequencies are among those given, which are any integers, mod `n`.

    Raises:
        ValueError: if two of them are the same mod `n`.
    """
    flat = (frequencies % size).long()
    counts = torch.zeros(*flat.shape[:-1], size, dtype=torch.long, device=flat.device)
    counts.scatter_add_(-1, flat, torch.ones_like(flat))
    if bool((counts > 1).any()):
        twice = int((counts > 1).nonzero()[0, -1])
        raise ValueError(
            f"frequency_mask: expected every frequency once mod {size}, got {twice} several times; leave the "
            "others out"
        )
    return counts > 0
