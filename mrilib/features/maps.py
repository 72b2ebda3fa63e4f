"""Where methods lose small features: the error in windows of a few pixels."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Complex, Float, Inexact
from torch import Tensor

from mrilib.data.features import Coils, feature_data
from mrilib.features.response import window_responses
from mrilib.features.truth import Truth
from mrilib.features.windows import Windows, everywhere
from mrilib.operators.base import MeasurementOperator
from mrilib.operators.coil_images import center_crop, crop_corner
from mrilib.reconstructors.base import Reconstructor

# A feature that changes the truth by less than this share of its energy is not seen there. Our choice: by the
# authors' amplitude coils may cancel, and what is divided by next to nothing says nothing.
UNSEEN = 1e-2


@dataclass(frozen=True, eq=False)
class WindowErrors:
    """Errors in windows.

    With the moduli `m` that a method returns without the feature and `m_f` with it, `x` and `x_f` what there
    is to be seen, `W` the window,

    - `loss` `‖(m_f − m) − (x_f − x)‖²_W / ‖x_f − x‖²_W`, what of the feature is lost: 1 if the image does not
      change at all, and the control of
    - `error` `‖m_f − x_f‖²_W / ‖x_f − x‖²_W`, which holds what the method does without the feature as well,
    - `before` `‖m − x‖²_W / ‖x_f − x‖²_W`.

    All are NaN where no coil sees the feature. Over several windows they are sums of errors over sums of
    energies (`pooled`), so that windows in which little is to be seen count little.

    Args:
        windows: where, in the reference.
        loss, error, before: of these.
        energy: `‖x_f − x‖²_W`.
        on_object: whether the window lies on the object: see `Windows.on_object`.
    """

    windows: Windows
    loss: Float[Tensor, "windows"]
    error: Float[Tensor, "windows"]
    before: Float[Tensor, "windows"]
    energy: Float[Tensor, "windows"]
    on_object: Bool[Tensor, "windows"]


def window_errors(
    truth: Truth,
    windows: Windows,
    amplitude: float,
    coils: Coils,
    *,
    without: Float[Tensor, "y x"],
    altered: Float[Tensor, "y x"],
) -> WindowErrors:
    """Errors of windows that stand in one image together.

    What one window does to another is counted as the method's: it vanishes as they move apart.

    Args:
        truth: of the object.
        windows: in the reference.
        amplitude: of the feature, in the units of the image; negative for dark ones.
        coils: how coils see it.
        without, altered: moduli that the method returns without the windows and with them, as coils see them,
            where the reference is.

    Source: [darestani2021], figures 7, 16 and 17, which leaves "normalised" undefined: ours is by the
    feature.
    """
    feature = windows.image(truth.shape, amplitude).to(truth.reference)
    wanted = truth.with_feature(feature, coils)

    def over(image: Tensor) -> Tensor:
        return windows.sums(image.double().square())

    change = over(wanted - truth.reference)
    return _errors(
        truth,
        windows,
        amplitude,
        change,
        over((altered - without) - (wanted - truth.reference)),
        over(altered - wanted),
        over(without - truth.reference),
    )


def exact_errors(
    method: Reconstructor,
    clean: Complex[Tensor, "full_y full_x"],
    operator: MeasurementOperator,
    truth: Truth,
    *,
    size: int,
    amplitude: float,
    coils: Coils = "maps",
    stride: int = 1,
) -> WindowErrors:
    """Errors of every single window of a size, of linear methods (`has_responses`), without adding any.

    Args:
        method: the method.
        clean: what it makes of the data without a feature.
        operator: what measured them.
        truth, amplitude, coils: as of `window_errors`.
        size: pixels along each side.
        stride: between windows that are told of, in rows and columns.

    Raises:
        ValueError: as `window_responses`.
    """
    shape, full = truth.shape, (operator.mask.shape[-2], operator.mask.shape[-1])
    carrier = embedded(truth.carrier(coils), full, outside=1.0)
    responses = window_responses(method, operator, size, carrier, coils=coils).to(clean)
    top, left = crop_corner(full, shape)
    responses = responses[top : top + shape[0] - size + 1, left : left + shape[1] - size + 1]
    image = center_crop(clean, shape)
    seen = center_crop(operator.seen(torch.ones(full).to(clean.real)), shape)
    inside = (_windows(seen, size) * (_windows(image, size) + amplitude * responses)).abs().double()
    wanted = truth.with_feature(torch.full_like(truth.reference, amplitude), coils)
    before, reference, after = (
        _windows(each, size).double() for each in ((seen * image).abs(), truth.reference, wanted)
    )
    windows = everywhere(shape, size, stride)

    def over(values: Tensor) -> Tensor:
        return values[::stride, ::stride].square().sum(dim=(-2, -1)).flatten()

    return _errors(
        truth,
        windows,
        amplitude,
        over(after - reference),
        over((inside - before) - (after - reference)),
        over(inside - after),
        over(before - reference),
    )


def with_features(
    kspace: Complex[Tensor, "*coil ky kx"],
    operator: MeasurementOperator,
    truth: Truth,
    features: Float[Tensor, "*batch y x"],
    coils: Coils,
) -> Complex[Tensor, "*batch_and_coil ky kx"]:
    """The data with each of the features more, differentiably in them; see `Truth` for how coils see it.

    Args:
        kspace: data without a feature.
        operator: what measured them.
        truth: of the object.
        features: in the reference, in the units of the image.
        coils: how coils see them.
    """
    full = (operator.mask.shape[-2], operator.mask.shape[-1])
    carried = features.to(truth.reference) * truth.carrier(coils)
    return kspace + feature_data(embedded(carried, full).to(kspace.dtype), operator, coils)


def embedded(
    image: Inexact[Tensor, "*batch y x"], shape: tuple[int, int], outside: float = 0.0
) -> Inexact[Tensor, "*batch full_y full_x"]:
    """The image in the middle of a larger one, where `center_crop` finds it again."""
    top, left = crop_corner(shape, (image.shape[-2], image.shape[-1]))
    found = image.new_full((*image.shape[:-2], *shape), outside)
    found[..., top : top + image.shape[-2], left : left + image.shape[-1]] = image
    return found


def _errors(
    truth: Truth,
    windows: Windows,
    amplitude: float,
    change: Tensor,
    lost: Tensor,
    error: Tensor,
    before: Tensor,
) -> WindowErrors:
    pixels = windows.sizes.to(change.device).double() ** 2
    seen = change > UNSEEN * amplitude**2 * pixels
    loss, error, before = (
        torch.where(seen, values / change, torch.nan).cpu() for values in (lost, error, before)
    )
    inside = windows.on_object(truth.reference, amplitude).cpu()
    return WindowErrors(windows, loss, error, before, change.cpu(), inside & seen.cpu())


def pooled(errors: Float[Tensor, "windows"], energy: Float[Tensor, "windows"]) -> float:
    """Errors of several windows together, `Σ ‖·‖²_W / Σ ‖x_f − x‖²_W`; NaN for none that is seen."""
    told = errors.isfinite()
    return float((errors[told] * energy[told]).sum() / energy[told].sum())


def _windows(image: Tensor, size: int) -> Inexact[Tensor, "rows columns size size"]:
    return image.unfold(0, size, 1).unfold(1, size, 1)
