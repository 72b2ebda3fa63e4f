"""Coil maps from the centre of k-space."""

import torch
from jaxtyping import Bool, Complex
from torch import Tensor

# Our choice: a wider centre adds noise and no information on maps that are smooth.
WIDEST_CALIBRATION = 32
# Our choice: pixels of one block hold this many entries of coil-by-coil matrices, 32 MB in complex64.
BLOCK_ENTRIES = 1 << 22
# What of a config makes the centre wider: an argument of masks of columns, and of radial ones.
WIDEN = "raise the mask's center_fraction (its lines, of a radial mask)"


def calibration_shape(sampled: Bool[Tensor, "ky kx"]) -> tuple[int, int]:
    """Rows and columns of the fully sampled centre: a rectangle about `(ky // 2, kx // 2)`, up to 32×32.

    `n` entries of an axis of `size` begin at `size // 2 − n // 2`. The largest square whose entries are all
    sampled comes first; then its rows, then its columns are extended as far as they are sampled. `(0, 0)`
    if the zero frequency is not sampled.
    """
    limits = [min(WIDEST_CALIBRATION, size) for size in sampled.shape]

    def whole(rows: int, columns: int) -> bool:
        return rows <= limits[0] and columns <= limits[1] and bool(_centre(sampled, rows, columns).all())

    rows = columns = 0
    while whole(rows + 1, columns + 1):
        rows, columns = rows + 1, columns + 1
    while rows and whole(rows + 1, columns):
        rows += 1
    while columns and whole(rows, columns + 1):
        columns += 1
    return rows, columns


@torch.no_grad()
def estimate_coil_maps(
    kspace: Complex[Tensor, "coil ky kx"],
    *,
    calibration_width: int | tuple[int, int] | None = None,
    kernel_width: int = 6,
    threshold: float = 0.02,
    crop: float = 0.8,
) -> Complex[Tensor, "coil y x"]:
    """ESPIRiT: one set of coil maps from the fully sampled centre of k-space, and from nothing else.

    The rows of a matrix are all `kernel_width²` patches of the centre, over all coils. Its right singular
    vectors `v_j` above `threshold·σ_max` span the patches that signal can have; with `w_j` the inverse
    transform of `conj(v_j)`, a coil vector at each pixel,

        G = Σ_j w_j w_jᴴ / kernel_width²,    S = leading eigenvector of G,    λ its eigenvalue in [0, 1],

    `λ ≈ 1` where there is signal. `Σ_c|S_c|² = 1` where `λ > crop`, and `S = 0` elsewhere: what lies outside
    the object has no signal to tell its maps from. The phase at each pixel is that of a virtual coil, the
    first principal component `u` of the centre: `Σ_c conj(u_c) S_c > 0`, with the largest entry of `u`
    positive. (The first coil would leave the phase to noise where that coil sees nothing.)

    `Σ_j` is taken once, as a correlation in k-space, and the matrices `G` are made block by block, so
    neither time nor memory grows with the number of `v_j`. What takes long is an eigenvector of a matrix of
    coils by coils at every pixel; `mrilib.data.coil_compression` makes few coils of many. Same input, same
    maps, on one machine.

    Args:
        kspace: undersampled k-space of one slice, zero where not sampled.
        calibration_width: side of the square in the centre, or its rows and columns; `None` takes
            `calibration_shape` of the entries that are not zero in some coil. Rows help where columns are
            few: on an 8-channel head, 8×8 entries give nothing and 32×8 maps of 0.998 (median inner product
            with those of 29×29).
        kernel_width: side of a patch, in samples.
        threshold: smallest singular value kept, relative to the largest; SigPy's default.
        crop: smallest eigenvalue `λ` of the object. Our choice is BART's default, 0.8: of the pixels of a
            head above a tenth of its maximum it loses 0.7 %, SigPy's 0.95 loses 1.3 %.

    Returns:
        Maps of the dtype and device of `kspace`.

    Raises:
        ValueError: if `kspace` is of another shape, or its centre not finite, zero or narrower than
            `kernel_width + 2`, if no pixel passes `crop`, or if an option is out of range.

    Source: [uecker2014]. Eigenvalues are scaled as in SigPy and BART.
    """
    if not kspace.is_complex() or kspace.ndim != 3:
        raise ValueError(
            "estimate_coil_maps: expected complex kspace (coil, ky, kx) of one slice, "
            f"got {kspace.dtype} of shape {tuple(kspace.shape)}; loop over slices"
        )
    if kernel_width < 2 or not 0.0 < threshold < 1.0 or not 0.0 <= crop < 1.0:
        raise ValueError(
            "estimate_coil_maps: expected kernel_width >= 2, 0 < threshold < 1 and 0 <= crop < 1, "
            f"got kernel_width={kernel_width}, threshold={threshold}, crop={crop}"
        )
    centre = _calibration(kspace, calibration_width, kernel_width + 2)
    spectrum = _pixel_spectrum(centre, kernel_width, threshold)
    _, components = torch.linalg.eigh(torch.einsum("cyx,dyx->cd", centre, centre.conj()))
    virtual = components[:, -1]
    largest = virtual[virtual.abs().argmax()]
    virtual = (virtual * (largest.conj() / largest.abs())).to(kspace.dtype)

    coils, height, width = kspace.shape
    lags = torch.arange(1 - kernel_width, kernel_width, dtype=torch.float64, device=kspace.device)
    down, across = (_phases(size, lags).to(kspace.dtype) for size in (height, width))
    spectrum = spectrum.to(kspace.dtype).flatten(1)
    maps = torch.empty_like(kspace)
    block = max(1, BLOCK_ENTRIES // (width * coils**2))
    for first in range(0, height, block):
        by_row = (down[first : first + block] @ spectrum).reshape(-1, len(lags), coils**2)
        matrices = (across @ by_row).reshape(-1, width, coils, coils)
        values, vectors = torch.linalg.eigh(matrices)
        leading = vectors[..., -1]
        phase = torch.sgn((leading * virtual.conj()).sum(dim=-1))
        leading = leading * (phase.conj() * (values[..., -1] > crop))[..., None]
        maps[:, first : first + block] = leading.movedim(-1, 0)
    if not maps.any():
        rows, columns = centre.shape[1:]
        raise ValueError(
            f"estimate_coil_maps: expected an eigenvalue above crop={crop} at some pixel, got none from a "
            f"centre of {rows}×{columns} entries; {WIDEN}, or lower kernel_width or crop"
        )
    return maps


def _centre(array: Tensor, rows: int, columns: int) -> Tensor:
    top, left = array.shape[-2] // 2 - rows // 2, array.shape[-1] // 2 - columns // 2
    return array[..., top : top + rows, left : left + columns]


def _calibration(kspace: Tensor, width: int | tuple[int, int] | None, needed: int) -> Tensor:
    """The centre of k-space in double precision, divided by its largest modulus."""
    sampled = (kspace != 0).any(dim=0)
    if width is None:
        rows, columns = calibration_shape(sampled)
        found = f"{rows} rows and {columns} columns"
        mend = f"{WIDEN}, or take a smaller kernel_width"
    else:
        rows, columns = (width, width) if isinstance(width, int) else width
        found = f"calibration_width={width} in k-space of {kspace.shape[-2]}×{kspace.shape[-1]}"
        mend = f"{WIDEN}, or give a calibration_width from {needed} to the size of k-space"
    if min(rows, columns) < needed or rows > kspace.shape[-2] or columns > kspace.shape[-1]:
        raise ValueError(
            f"estimate_coil_maps: expected a fully sampled centre of at least {needed}×{needed} entries "
            f"(kernel_width + 2) about the zero frequency, got {found}; {mend}"
        )
    inside = _centre(sampled, rows, columns)
    if not (inside.any(dim=0).all() and inside.any(dim=1).all()):
        raise ValueError(
            f"estimate_coil_maps: expected a fully sampled centre of {rows}×{columns} entries, got rows or "
            "columns that are zero in every coil, which were not acquired; lower the mask's center_fraction, "
            "or calibration_width"
        )
    centre = _centre(kspace, rows, columns)
    if not torch.isfinite(torch.view_as_real(centre)).all():
        raise ValueError(
            "estimate_coil_maps: expected a finite centre of kspace, got NaN or infinite entries"
        )
    centre = centre.to(torch.complex128)
    return centre / centre.abs().max()


def _pixel_spectrum(centre: Tensor, kernel_width: int, threshold: float) -> Tensor:
    """`K(d) = Σ_j Σ_{k − l = d} conj(v_j(k)) v_j(l)ᵀ / kernel_width²`; `G` at pixel r is `Σ_d K(d) e^{idr}`.

    Returns `(lag down, lag across, coil, coil)`, `2·kernel_width − 1` lags each.
    """
    coils = len(centre)
    patches = centre.unfold(1, kernel_width, 1).unfold(2, kernel_width, 1)
    rows = patches.permute(1, 2, 0, 3, 4).reshape(-1, coils * kernel_width**2)
    vectors = _right_vectors(rows, threshold).reshape(coils, kernel_width, kernel_width, -1)
    lags = 2 * kernel_width - 1
    spectrum = rows.new_zeros(lags, lags, coils, coils)
    every = vectors.permute(3, 1, 2, 0).flatten(1)
    for y in range(kernel_width):
        for x in range(kernel_width):
            pairs = (vectors[:, y, x].conj() @ every).reshape(coils, kernel_width, kernel_width, coils)
            spectrum[y : y + kernel_width, x : x + kernel_width] += pairs.permute(1, 2, 0, 3).flip(0, 1)
    return spectrum / kernel_width**2


def _right_vectors(rows: Tensor, threshold: float) -> Tensor:
    """Right singular vectors above `threshold·σ_max`, by the smaller of both products of the rows."""
    if rows.shape[0] < rows.shape[1]:
        values, vectors = torch.linalg.eigh(rows @ rows.mH)
        kept = values > threshold**2 * values[-1]
        return rows.mH @ (vectors[:, kept] / values[kept].sqrt())
    values, vectors = torch.linalg.eigh(rows.mH @ rows)
    return vectors[:, values > threshold**2 * values[-1]]


def _phases(size: int, lags: Tensor) -> Tensor:
    positions = torch.arange(size, dtype=lags.dtype, device=lags.device) - size // 2
    return torch.exp(2j * torch.pi * positions[:, None] * lags / size)
