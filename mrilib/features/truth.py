"""What is to be seen of an object that has a small feature more."""

from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from mrilib.data.features import Coils
from mrilib.data.measurement import Measurement


@dataclass(frozen=True, eq=False)
class Truth:
    """An object as its coils see it, on the grid of the reference.

    With the images `c_c` of the fully sampled data, their maps `S_c` and a real feature `f`, the RSS image
    `x = √Σ_c|c_c|²` becomes

    - `maps`: every coil sees `S_c f u`, `u` of modulus 1 with the phase of `Σ_c conj(S_c) c_c`, that of the
      object: `x_f = √(x² + 2f·|Σ_c conj(S_c) c_c| + f²·Σ_c|S_c|²)`, which is `|x + f|` where the images are
      the object's times normalised maps;
    - `constant`: every coil sees `f`: `x_f = √(x² + 2f·Re Σ_c c_c + C·f²)` with `C` coils.

    Args:
        reference: `x`, maybe cropped at the centre.
        combined: `Σ_c conj(S_c) c_c`; the image itself of a single coil.
        coil_sum: `Σ_c c_c`; the same.
        sight: `Σ_c|S_c|²`; 1 of a single coil.
        count: `C`.

    Source: `constant` is [darestani2021]'s code. The phase of `maps` is our choice: with any other a bright
    feature of an object with a phase of its own may be dark, or not to be seen.
    """

    reference: Float[Tensor, "y x"]
    combined: Complex[Tensor, "y x"]
    coil_sum: Complex[Tensor, "y x"]
    sight: Float[Tensor, "y x"]
    count: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the reference."""
        return self.reference.shape[-2], self.reference.shape[-1]

    def carrier(self, coils: Coils) -> Complex[Tensor, "y x"]:
        """`u`: what the feature is multiplied by before coils see it; 1 where the object is 0."""
        ones = torch.ones_like(self.combined)
        if coils == "constant":
            return ones
        size = self.combined.abs()
        return torch.where(size > 0, self.combined / size, ones)

    def with_feature(self, feature: Float[Tensor, "*batch y x"], coils: Coils) -> Float[Tensor, "*batch y x"]:
        """`x_f`; its derivative is 0 where it is 0."""
        if coils == "maps":
            along, own = self.combined.abs(), self.sight
        else:
            along, own = self.coil_sum.real, torch.full_like(self.sight, self.count)
        square = self.reference**2 + 2.0 * feature * along + feature**2 * own
        positive = square > 0
        return torch.where(positive, torch.where(positive, square, 1.0).sqrt(), 0.0)


def truth_of(measurement: Measurement) -> Truth:
    """What the measurement knows of its object.

    Raises:
        ValueError: for coils without `combined` and `coil_sum`.
    """
    reference = measurement.reference
    if measurement.kspace.ndim == 2:
        image = reference.to(measurement.kspace.dtype)
        return Truth(reference, image, image, torch.ones_like(reference), 1)
    if measurement.combined is None or measurement.coil_sum is None:
        raise ValueError(
            f"truth_of: expected the images of the fully sampled data of {measurement.name}, got none; "
            "measure it again"
        )
    sight = measurement.operator.seen(torch.ones_like(measurement.combined.real)).square()
    combined, coil_sum, sight = map(measurement.compared, (measurement.combined, measurement.coil_sum, sight))
    return Truth(reference, combined, coil_sum, sight, measurement.kspace.shape[0])
