"""The networks of P1: the Tiramisu, and the learned inverse that TiraFL puts before it."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import torch
from jaxtyping import Complex, Float
from pydantic import Field
from torch import Tensor, nn

from mrilib.operators.channels import check_channels


class Tiramisu(nn.Module):
    """`(batch, channels, y, x) → (batch, 2, y, x)`: a U of dense blocks.

    1. 3×3 convolution to `first` features, BN.
    2. For each entry of `down`: a dense block of that many layers, which hands on its input and its new
       features, also as skip; then transition down = BN, ReLU, 1×1 convolution keeping the features,
       max-pool 2.
    3. A dense block of `bottleneck` layers, which hands on only its new features.
    4. For each entry of `up`: transition up = 3×3 transposed convolution with stride 2 keeping the features,
       cropped to the skip's size and followed by it; then a dense block, which hands on only its new
       features. The last one hands on its input too.
    5. 1×1 convolution to two channels.

    Every layer of a dense block is BN, ReLU, 3×3 convolution of all that came before in the block to `growth`
    features. All convolutions have a bias, so the defaults make 14,221,954 parameters.

    Any size of at least `2^len(down)`: pooling rounds down, and the transposed convolution makes `2k + 1`
    of `k`, so that the crop drops at most one row and column, the last.
    Weights start as torch draws them by default, from its global generator; whoever trains seeds that.

    Args:
        channels: of the input.
        first: features of the first convolution.
        growth: new features of a layer.
        down: layers of the blocks on the way down.
        bottleneck: layers of the lowest block.
        up: layers of the blocks on the way up.
        dropout: probability with which a feature map is dropped in training, after the convolution of every
            layer and transition down; at 0 there is no such layer.
        zero_output: start the last convolution at zero, so that a residual method starts at its input
            (not P1's: for trainings of minutes).

    Raises:
        ValueError: if a number is below 1, `down` and `up` differ in length or are empty, or `dropout` is
            not in [0, 1); at the call if the input has another number of channels or a side shorter than
            `2^len(down)`.

    Source: [alaifari2023] with the code of [genzel2022]; the architecture is that of [jegou2017]. Deviates
    from the latter, as the code does: BN after the first convolution, whole feature maps dropped.
    """

    word: ClassVar[str] = "tiramisu"

    def __init__(
        self,
        *,
        channels: Annotated[int, Field(ge=1)] = 2,
        first: Annotated[int, Field(ge=1)] = 16,
        growth: Annotated[int, Field(ge=1)] = 16,
        down: Sequence[Annotated[int, Field(ge=1)]] = (5, 7, 9, 12, 15),
        bottleneck: Annotated[int, Field(ge=1)] = 20,
        up: Sequence[Annotated[int, Field(ge=1)]] = (15, 12, 9, 7, 5),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        zero_output: bool = False,
    ) -> None:
        super().__init__()
        _check_levels(down, up)
        if min(channels, first, growth, bottleneck, *down, *up) < 1:
            raise ValueError(
                f"Tiramisu: expected numbers of at least 1, got channels={channels}, first={first}, "
                f"growth={growth}, down={tuple(down)}, bottleneck={bottleneck}, up={tuple(up)}; "
                "leave a level out of down and up instead of giving it no layer"
            )
        if not 0.0 <= dropout < 1.0:
            raise ValueError(f"Tiramisu: expected dropout in [0, 1), got {dropout}; P1 has 0")
        self._channels = channels
        self._smallest = 2 ** len(down)
        features = first
        self.first = nn.Sequential(nn.Conv2d(channels, first, 3, padding=1), nn.BatchNorm2d(first))
        self.down_blocks, self.transitions_down = nn.ModuleList(), nn.ModuleList()
        skips: list[int] = []
        for layers in down:
            self.down_blocks.append(_DenseBlock(features, layers, growth, dropout, keep_input=True))
            features += layers * growth
            skips.append(features)
            self.transitions_down.append(
                nn.Sequential(*_normalised(nn.Conv2d(features, features, 1), dropout), nn.MaxPool2d(2))
            )
        self.bottleneck = _DenseBlock(features, bottleneck, growth, dropout, keep_input=False)
        features = bottleneck * growth
        self.transitions_up, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        for layers in up:
            self.transitions_up.append(nn.ConvTranspose2d(features, features, 3, stride=2))
            features += skips.pop()
            last = not skips
            self.up_blocks.append(_DenseBlock(features, layers, growth, dropout, keep_input=last))
            features = layers * growth + (features if last else 0)
        self.last = nn.Conv2d(features, 2, 1)
        if zero_output:
            nn.init.zeros_(self.last.weight)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    @classmethod
    def check_shape(
        cls, shape: tuple[int, int], *, down: Sequence[int], up: Sequence[int], **others: Any
    ) -> None:
        """Raise `ValueError` if images of `(rows, columns)` are too small for such a network."""
        _check_levels(down, up)
        if min(shape) < 2 ** len(down):
            raise ValueError(
                f"Tiramisu: expected images of at least {2 ** len(down)}×{2 ** len(down)} for {len(down)} "
                f"levels, got {shape[0]}×{shape[1]}; take larger images or fewer levels"
            )

    def forward(self, image: Float[Tensor, "batch channels y x"]) -> Float[Tensor, "batch 2 y x"]:
        check_channels(image, "Tiramisu", count=self._channels, smallest=self._smallest)
        x = self.first(image)
        skips: list[Tensor] = []
        for block, transition in zip(self.down_blocks, self.transitions_down, strict=True):
            x = block(x)
            skips.append(x)
            x = transition(x)
        x = self.bottleneck(x)
        for transition, block in zip(self.transitions_up, self.up_blocks, strict=True):
            skip = skips.pop()
            x = block(torch.cat([_cropped(transition(x), skip), skip], dim=1))
        return self.last(x)


def _check_levels(down: Sequence[int], up: Sequence[int]) -> None:
    if len(down) != len(up) or not down:
        raise ValueError(
            f"Tiramisu: expected as many blocks up as down, got down={tuple(down)} and up={tuple(up)}; "
            "give one number of layers for each level in both"
        )


class _DenseBlock(nn.Module):
    """Layers that each see the block's input and all features made before them in the block."""

    def __init__(self, features: int, layers: int, growth: int, dropout: float, *, keep_input: bool) -> None:
        super().__init__()
        self._keep_input = keep_input
        self.layers = nn.ModuleList(
            nn.Sequential(*_normalised(nn.Conv2d(features + layer * growth, growth, 3, padding=1), dropout))
            for layer in range(layers)
        )

    def forward(self, x: Float[Tensor, "batch before y x"]) -> Float[Tensor, "batch after y x"]:
        new: list[Tensor] = []
        for layer in self.layers:
            new.append(layer(torch.cat([x, *new], dim=1)))
        return torch.cat([x, *new] if self._keep_input else new, dim=1)


def _normalised(convolution: nn.Conv2d, dropout: float) -> list[nn.Module]:
    """BN, ReLU, the convolution, and dropout if there is any."""
    chain = [nn.BatchNorm2d(convolution.in_channels), nn.ReLU(inplace=True), convolution]
    return [*chain, nn.Dropout2d(dropout)] if dropout > 0.0 else chain


def _cropped(
    x: Float[Tensor, "batch features y x"], skip: Float[Tensor, "batch others v u"]
) -> Float[Tensor, "batch features v u"]:
    """The centre of `x` in the skip's size."""
    height, width = skip.shape[-2:]
    top, left = (x.shape[-2] - height) // 2, (x.shape[-1] - width) // 2
    return x[..., top : top + height, left : left + width]


class LearnedInverse(nn.Module):
    """`Y ↦ L_y Y L_xᵀ`: an inverse Fourier transform whose two factors are learned.

    `L_x` acts on every row, from kx to x, and then `L_y` on every column, from ky to y. Each is stored as a
    real 2n×2n matrix acting on a column of n real parts and n imaginary parts, and is any real-linear map of
    `ℂⁿ`: nothing keeps it complex-linear. Unsampled k-space is zero. 8n² parameters, 524,288 at n = 256.

    Both start at `[[Re F⁻¹, −Im F⁻¹], [Im F⁻¹, Re F⁻¹]]` plus independent Gaussian noise in every entry, with
    `F⁻¹[j, k] = exp(2πi (j − c)(k − c)/n)/√n` and `c = n // 2`, so that without noise this is `ifft2c`.

    Computed in the precision of the matrices, also under autocast: an image of 16 bits is no start for a
    reconstruction. TF32 is torch's own switch and not touched.

    Args:
        size: n; k-space is n×n.
        noise: standard deviation of the noise; `None`: `1/(16·√n)`.
        seed: of the noise, drawn for `along_y` first.

    Raises:
        ValueError: if `size` is below 1 or `noise` negative or not finite; at the call if k-space has
            another size, is not complex, or has another precision than the matrices.

    Source: [alaifari2023] with the code of [genzel2022].
    """

    word: ClassVar[str] = "learned-inverse"
    takes: ClassVar[str] = "kspace alone"

    def __init__(
        self,
        *,
        size: Annotated[int, Field(ge=1)] = 256,
        noise: Annotated[float, Field(ge=0)] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"LearnedInverse: expected a size of at least 1, got {size}; P1 has 256")
        deviation = 1.0 / (16.0 * math.sqrt(size)) if noise is None else noise
        if not (math.isfinite(deviation) and deviation >= 0.0):
            raise ValueError(
                f"LearnedInverse: expected a finite noise of at least 0, got {noise}; leave it out for P1's"
            )
        generator = torch.Generator().manual_seed(seed)
        exact = _stacked_inverse_dft(size)
        self._size = size
        self.along_y = nn.Parameter(exact + deviation * torch.randn(exact.shape, generator=generator))
        self.along_x = nn.Parameter(exact + deviation * torch.randn(exact.shape, generator=generator))

    @classmethod
    def check_shape(cls, shape: tuple[int, int], *, size: int, **others: Any) -> None:
        """Raise `ValueError` unless images of `(rows, columns)` are of the size of the learned maps."""
        if shape != (size, size):
            raise ValueError(
                f"LearnedInverse: expected images of {size}×{size}, for which the maps are, got "
                f"{shape[0]}×{shape[1]}; make both sizes equal"
            )

    def forward(self, kspace: Complex[Tensor, "*batch ky kx"]) -> Complex[Tensor, "*batch y x"]:
        size = self._size
        if tuple(kspace.shape[-2:]) != (size, size):
            raise ValueError(
                f"LearnedInverse: expected kspace (..., {size}, {size}) from the learned maps, got "
                f"{tuple(kspace.shape)}; crop the k-space, or build and train the maps for its size"
            )
        expected = self.along_x.dtype.to_complex()
        if kspace.dtype != expected:
            raise ValueError(
                f"LearnedInverse: expected {expected} kspace from maps in {self.along_x.dtype}, "
                f"got {kspace.dtype}; convert one with .to(...)"
            )
        with torch.autocast(kspace.device.type, enabled=False):
            return _mapped(self.along_y, _mapped(self.along_x, kspace).mT).mT


def _stacked_inverse_dft(size: int) -> Float[Tensor, "stacked stacked"]:
    """The centred orthonormal inverse DFT on stacked real and imaginary parts, in float32."""
    centred = torch.arange(size) - size // 2
    # modulo n in integers, so that large products cost no digits
    phases = (torch.outer(centred, centred) % size).double() * (2.0 * math.pi / size)
    real, imaginary = phases.cos(), phases.sin()
    stacked = torch.cat([torch.cat([real, -imaginary], dim=1), torch.cat([imaginary, real], dim=1)])
    return (stacked / math.sqrt(size)).float()


def _mapped(
    matrix: Float[Tensor, "stacked stacked"], rows: Complex[Tensor, "*batch row n"]
) -> Complex[Tensor, "*batch row n"]:
    """Every row `r` replaced by the complex form of `matrix @ (Re r, Im r)`."""
    stacked = torch.cat([rows.real, rows.imag], dim=-1) @ matrix.mT
    return torch.complex(*stacked.chunk(2, dim=-1))
