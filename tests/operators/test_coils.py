import math
import shutil
import subprocess

import numpy as np
import pytest
import torch
from sigpy.mri.app import EspiritCalib

from mrilib.operators.base import fft2c, ifft2c
from mrilib.operators.coils import CoilFourier, calibration_shape, estimate_coil_maps
from mrilib.operators.espirit import _right_vectors


def sampled(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.4


def dense(mask, maps):
    """`P_Ω F S` as a matrix, coil by coil, from the definition of the centred transform."""
    size = mask.shape[0]
    centred = np.arange(size) - size // 2
    transform = np.exp(-2j * np.pi * np.outer(centred, centred) / size) / np.sqrt(size)
    fourier = torch.from_numpy(np.kron(transform, transform)) * mask.flatten()[:, None]
    return torch.cat([fourier * coil.flatten() for coil in maps])


@pytest.mark.parametrize("shape", [(8, 8), (9, 12)])
@pytest.mark.parametrize("items", [(), (3,), (2, 3)])
@pytest.mark.parametrize("whole_columns", [False, True])
def test_dot_product(draw, shape, items, whole_columns):
    mask = sampled(shape[1]) if whole_columns else sampled(*shape)
    operator = CoilFourier(mask=mask, coil_maps=draw(*items, 4, *shape))
    x, y = draw(2, 3, *shape, seed=1), draw(2, 3, 4, *shape, seed=2)
    ax = operator @ x
    assert ax.shape == y.shape
    difference = torch.vdot(y.flatten(), ax.flatten()) - torch.vdot((operator.H @ y).flatten(), x.flatten())
    assert difference.abs() <= 1e-10 * ax.norm() * y.norm()


def test_equals_the_dense_matrix(draw):
    mask, maps = sampled(8, 8), draw(3, 8, 8)
    operator, matrix = CoilFourier(mask=mask, coil_maps=maps), dense(mask, maps)
    x, y = draw(8, 8, seed=1), draw(3, 8, 8, seed=2)
    torch.testing.assert_close((operator @ x).flatten(), matrix @ x.flatten(), rtol=0, atol=1e-12)
    torch.testing.assert_close((operator.H @ y).flatten(), matrix.mH @ y.flatten(), rtol=0, atol=1e-12)
    assert torch.linalg.matrix_norm(matrix, 2) <= operator.norm * (1 + 1e-12)
    assert operator.samples == int(mask.sum())


def test_norm_is_reached_by_a_full_mask(draw):
    mask, maps = torch.ones(8, 8, dtype=torch.bool), draw(3, 8, 8)
    largest = torch.linalg.matrix_norm(dense(mask, maps), 2)
    assert CoilFourier(mask=mask, coil_maps=maps).norm == pytest.approx(float(largest), rel=1e-12)


def test_columns_are_whole(draw):
    columns, maps = sampled(12), draw(3, 9, 12)
    operator = CoilFourier(mask=columns, coil_maps=maps)
    assert torch.equal(operator.mask, columns.expand(9, 12))
    assert operator.samples == 9 * int(columns.sum())
    assert not (operator @ draw(9, 12))[..., ~columns].any()


def test_each_item_has_its_own_maps(draw):
    mask, maps = sampled(8, 8), draw(2, 3, 8, 8)
    x, y = draw(5, 2, 8, 8, seed=1), draw(5, 2, 3, 8, 8, seed=2)
    together = CoilFourier(mask=mask, coil_maps=maps)
    for index in range(2):
        alone = CoilFourier(mask=mask, coil_maps=maps[index])
        torch.testing.assert_close((together @ x)[:, index], alone @ x[:, index])
        torch.testing.assert_close((together.H @ y)[:, index], alone.H @ y[:, index])


def test_one_coil_without_phase_is_the_masked_transform(draw):
    mask = sampled(8, 8)
    operator = CoilFourier(mask=mask, coil_maps=torch.ones(1, 8, 8, dtype=torch.complex128))
    x = draw(8, 8)
    torch.testing.assert_close((operator @ x)[0], fft2c(x) * mask)
    assert torch.equal(operator @ x.real, operator @ x.real.to(torch.complex128))


def test_derivatives_go_through(draw):
    operator = CoilFourier(mask=sampled(4, 5), coil_maps=draw(2, 4, 5))
    x, y = draw(4, 5, seed=1).requires_grad_(), draw(2, 4, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(operator.forward, (x,))
    assert torch.autograd.gradcheck(operator.adjoint, (y,))


def test_later_changes_of_mask_and_maps_change_nothing(draw):
    mask, maps, x = sampled(8, 8), draw(3, 8, 8), draw(8, 8)
    operator = CoilFourier(mask=mask, coil_maps=maps)
    before = operator @ x
    mask.fill_(True)
    maps.zero_()
    assert torch.equal(operator @ x, before)
    assert torch.equal(operator.to("cpu") @ x, before)
    assert torch.equal(operator.to("cpu").coil_maps, operator.coil_maps)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("method", "shape", "message"),
    [
        (
            "forward",
            (8, 9),
            r"forward: expected image \(\.\.\., 8, 8\) from the mask, got \(8, 9\); crop the image",
        ),
        ("adjoint", (3, 8, 9), r"adjoint: expected kspace \(\.\.\., 8, 8\) from the mask, got \(3, 8, 9\)"),
        (
            "adjoint",
            (2, 8, 8),
            r"adjoint: expected kspace \(\.\.\., 3, ky, kx\), one entry a coil map, got \(2, 8, 8\)",
        ),
        ("adjoint", (8, 8), r"adjoint: expected kspace \(\.\.\., 3, ky, kx\)"),
    ],
)
def test_refuses_another_shape(draw, method, shape, message):
    operator = CoilFourier(mask=sampled(8, 8), coil_maps=draw(3, 8, 8))
    with pytest.raises(ValueError, match=f"CoilFourier.{message}"):
        getattr(operator, method)(draw(*shape))


def test_refuses_another_number_of_items(draw):
    operator = CoilFourier(mask=sampled(8, 8), coil_maps=draw(2, 3, 8, 8))
    with pytest.raises(
        ValueError, match=r"image with the batch axes \(\.\.\., 2\) of the coil_maps, got \(8, 8\)"
    ):
        operator.forward(draw(8, 8))
    with pytest.raises(ValueError, match=r"kspace with the batch axes \(\.\.\., 2\) .* got \(1, 3, 8, 8\)"):
        operator.adjoint(draw(1, 3, 8, 8))


@pytest.mark.usefixtures("unchecked")
def test_refuses_masks_and_maps_that_do_not_fit(draw):
    mask, maps = sampled(8, 8), draw(3, 8, 8)
    with pytest.raises(ValueError, match=r"mask \(ky, kx\) or \(kx,\), got torch.float32 of shape \(8, 8\)"):
        CoilFourier(mask=mask.float(), coil_maps=maps)
    with pytest.raises(ValueError, match=r"got torch.bool of shape \(1, 8, 8\)"):
        CoilFourier(mask=mask[None], coil_maps=maps)
    with pytest.raises(ValueError, match="CoilFourier: the mask samples nothing"):
        CoilFourier(mask=torch.zeros_like(mask), coil_maps=maps)
    with pytest.raises(ValueError, match=r"complex coil_maps .*, got torch.float64 of shape \(3, 8, 8\)"):
        CoilFourier(mask=mask, coil_maps=maps.real)
    with pytest.raises(ValueError, match=r"expected complex coil_maps .* of shape \(8, 8\)"):
        CoilFourier(mask=mask, coil_maps=maps[0])
    with pytest.raises(
        ValueError, match=r"expected coil_maps \(\.\.\., 8, 8\) from the mask, got \(3, 9, 8\)"
    ):
        CoilFourier(mask=mask, coil_maps=draw(3, 9, 8))
    with pytest.raises(
        ValueError, match=r"expected coil_maps \(\.\.\., 8, 9\) from the mask, got \(3, 8, 8\)"
    ):
        CoilFourier(mask=sampled(9), coil_maps=maps)
    with pytest.raises(ValueError, match="expected finite coil_maps, got NaN or infinite entries"):
        CoilFourier(mask=mask, coil_maps=maps / 0)


@pytest.mark.gpu
def test_refuses_another_device(draw):
    operator = CoilFourier(mask=sampled(8, 8), coil_maps=draw(3, 8, 8))
    with pytest.raises(ValueError, match=r"CoilFourier.forward: image is on cuda:0, the mask on cpu"):
        operator.forward(draw(8, 8).cuda())
    with pytest.raises(ValueError, match=r"CoilFourier: coil_maps is on cuda:0, the mask on cpu"):
        CoilFourier(mask=sampled(8, 8), coil_maps=draw(3, 8, 8).cuda())


def grid(*shape):
    return torch.meshgrid(
        *(torch.linspace(-1, 1, size, dtype=torch.float64) for size in shape), indexing="ij"
    )


def scan(shape=(64, 48), coils=5, noise=1e-4, dtype=torch.complex64):
    """K-space of an ellipse with some structure, the maps (of unit norm), and where the ellipse is."""
    y, x = grid(*shape)
    inside = (y / 0.7) ** 2 + (x / 0.6) ** 2 < 1
    image = inside * (1.0 + 0.5 * torch.cos(9 * x) * torch.sin(7 * y))
    angles = 2 * math.pi * torch.arange(coils, dtype=torch.float64)[:, None, None] / coils
    distance = (y - angles.cos()).square() + (x - angles.sin()).square()
    maps = torch.polar(torch.exp(-distance / 2), y * angles.cos() + x + angles)
    maps = maps / torch.linalg.vector_norm(maps, dim=0)
    generator = torch.Generator().manual_seed(0)
    kspace = fft2c(maps * image)
    errors = torch.randn(kspace.shape, generator=generator, dtype=torch.complex128)
    return (kspace + noise * kspace.abs().max() * errors).to(dtype), maps, inside


def inner_products(first, second):
    """`|Σ_c conj(a_c) b_c| / (|a| |b|)` per pixel, 0 where one of them is zero."""
    product = (first.conj() * second).sum(dim=0).abs()
    norms = torch.linalg.vector_norm(first, dim=0) * torch.linalg.vector_norm(second, dim=0)
    return product / norms.clamp(min=1e-30)


def centre_only(kspace, rows, columns):
    kept = torch.zeros_like(kspace)
    top, left = kspace.shape[-2] // 2 - rows // 2, kspace.shape[-1] // 2 - columns // 2
    kept[..., top : top + rows, left : left + columns] = kspace[..., top : top + rows, left : left + columns]
    return kept


def test_maps_are_those_of_the_scan():
    kspace, maps, inside = scan()
    estimated = estimate_coil_maps(kspace, calibration_width=24)
    assert estimated.shape == kspace.shape
    assert estimated.dtype == torch.complex64
    norms = torch.linalg.vector_norm(estimated, dim=0)
    assert ((norms == 0) | ((norms - 1).abs() < 1e-5)).all()
    agreement = inner_products(estimated.to(torch.complex128), maps)[inside]
    assert (agreement > 0.99).double().mean() > 0.98
    # far from the object there is nothing to estimate from
    y, x = grid(*inside.shape)
    assert (norms[(y / 0.7) ** 2 + (x / 0.6) ** 2 > 2] == 0).double().mean() > 0.8


def test_maps_read_the_centre_and_nothing_else(draw):
    kspace, _, _ = scan()
    centre = centre_only(kspace, 24, 24)
    outside = 1e3 * draw(*kspace.shape).to(kspace.dtype) * (centre == 0)
    outside[:, :, ::2] = 0
    maps = estimate_coil_maps(centre, calibration_width=24)
    assert torch.equal(maps, estimate_coil_maps(kspace, calibration_width=24))
    assert torch.equal(maps, estimate_coil_maps(centre + outside, calibration_width=24))
    # found in the data: whole columns in the centre, every other one outside
    columns = torch.zeros(48, dtype=torch.bool)
    columns[1::2] = True
    columns[17:32] = True
    first = estimate_coil_maps(kspace * columns)
    changed = kspace * columns
    changed[..., :17] *= 100.0
    changed[..., 32:] = changed[..., 32:].flip(0)
    changed[:, :16] = 1.0 * columns
    changed[:, 48:] *= 1j
    assert calibration_shape((changed != 0).any(dim=0)) == (32, 15)
    assert torch.equal(first, estimate_coil_maps(changed))
    assert torch.equal(first, estimate_coil_maps(kspace, calibration_width=(32, 15)))


def test_same_input_gives_same_maps():
    kspace, _, _ = scan()
    assert torch.equal(estimate_coil_maps(kspace), estimate_coil_maps(kspace.clone()))


@pytest.mark.parametrize("factor", [1e-30, 1e-9, 1e9, 1e25])
def test_maps_have_no_units(factor):
    kspace, _, _ = scan()
    torch.testing.assert_close(
        estimate_coil_maps(kspace * factor), estimate_coil_maps(kspace), rtol=0, atol=1e-5
    )


def test_phase_is_that_of_the_virtual_coil():
    kspace, _, _ = scan()
    centre = centre_only(kspace, 24, 24).to(torch.complex128)
    _, vectors = torch.linalg.eigh(torch.einsum("cyx,dyx->cd", centre, centre.conj()))
    virtual = vectors[:, -1]
    virtual = virtual * virtual[virtual.abs().argmax()].conj().sgn()
    projected = torch.einsum(
        "c,cyx->yx", virtual.conj(), estimate_coil_maps(kspace, calibration_width=24).to(virtual)
    )
    assert (projected.real >= 0).all()
    assert projected.imag.abs().max() < 1e-5


def test_maps_equal_those_of_sigpy():
    kspace, _, inside = scan(shape=(40, 36), coils=4, dtype=torch.complex128)
    ours = estimate_coil_maps(kspace, calibration_width=20, crop=0.0)
    # its power iteration of 100 steps stops early where two eigenvalues are close
    theirs = EspiritCalib(kspace.numpy(), calib_width=20, crop=0.0, max_iter=2000, show_pbar=False).run()
    agreement = inner_products(ours, torch.from_numpy(theirs))
    assert agreement[inside].min() > 1 - 1e-9
    # the same phase once theirs is turned to the virtual coil, that is, to ours
    turned = ours * (ours[0].conj().sgn())
    torch.testing.assert_close(turned[:, inside], torch.from_numpy(theirs)[:, inside], rtol=0, atol=1e-5)


def test_blocks_of_rows_change_nothing(monkeypatch):
    kspace, _, inside = scan()
    whole = estimate_coil_maps(kspace)
    monkeypatch.setattr("mrilib.operators.espirit.BLOCK_ENTRIES", 1)
    torch.testing.assert_close(estimate_coil_maps(kspace)[:, inside], whole[:, inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("height", "width", "first", "last", "expected"),
    [
        (640, 368, 170, 199, (32, 29)),  # 29 columns of an 8 % centre, all rows
        (640, 368, 168, 200, (32, 32)),
        (640, 368, 100, 300, (32, 32)),  # no wider than 32
        (640, 371, 171, 201, (32, 29)),  # fastMRI's even centre of an odd width is off by one column
        (20, 64, 28, 37, (20, 9)),
        (20, 64, 33, 40, (0, 0)),  # the zero frequency is not sampled
    ],
)
def test_the_centre_is_found(height, width, first, last, expected):
    mask = torch.zeros(height, width, dtype=torch.bool)
    mask[:, first:last] = True
    assert calibration_shape(mask) == expected
    assert calibration_shape(mask.T) == expected[::-1]


def test_one_missing_entry_ends_the_centre():
    mask = torch.ones(64, 64, dtype=torch.bool)
    mask[32 - 9, 35] = False
    assert calibration_shape(mask) == (17, 32)


def test_refuses_a_narrow_centre_and_names_the_key_that_mends_it():
    kspace, _, _ = scan()
    columns = torch.zeros(48, dtype=torch.bool)
    columns[21:28] = True
    needed = r"a fully sampled centre of at least 8×8 entries \(kernel_width \+ 2\)"
    mend = r"raise the mask's center_fraction \(its lines, of a radial mask\), or "
    with pytest.raises(
        ValueError, match=rf"{needed} .* got 32 rows and 7 columns; {mend}take a smaller kernel"
    ):
        estimate_coil_maps(kspace * columns)
    for width in (7, 49):
        found = rf"got calibration_width={width} in k-space of 64×48; {mend}give a calibration_width from 8"
        with pytest.raises(ValueError, match=rf"{needed} .*, {found}"):
            estimate_coil_maps(kspace, calibration_width=width)
    with pytest.raises(
        ValueError,
        match=r"of 8×8 entries, got rows or columns that are zero in every coil, which were not acquired; "
        "lower the mask's center_fraction, or calibration_width",
    ):
        estimate_coil_maps(kspace * columns, calibration_width=8)
    with pytest.raises(
        ValueError, match=rf"an eigenvalue above crop=0.999 at some pixel, got none from .*; {mend}lower ke"
    ):
        estimate_coil_maps(kspace, calibration_width=8, crop=0.999)


def test_a_partial_readout_has_the_centre_of_its_sampled_rows():
    mask = torch.zeros(64, 48, dtype=torch.bool)
    mask[10:, 16:33] = True
    assert calibration_shape(mask) == (32, 17)
    mask[:20] = False
    assert calibration_shape(mask) == (25, 17)
    kspace, maps, inside = scan()
    agreement = inner_products(estimate_coil_maps(kspace * mask).to(torch.complex128), maps)[inside]
    assert (agreement > 0.99).double().mean() > 0.98


@pytest.mark.parametrize("shape", [(20, 30), (30, 20)])
def test_right_vectors_are_those_of_the_svd(draw, shape):
    rows = draw(*shape)
    _, values, vectors = torch.linalg.svd(rows, full_matrices=False)
    kept = vectors[values > 0.5 * values[0]]
    found = _right_vectors(rows, 0.5)
    assert found.shape == (30 if shape[0] == 20 else 20, len(kept))
    torch.testing.assert_close(found @ found.mH, kept.mH @ kept, rtol=0, atol=1e-12)


def test_maps_of_many_coils_equal_those_of_sigpy():
    # More coils than a centre has patches.
    kspace, _, inside = scan(shape=(40, 36), coils=12, dtype=torch.complex128)
    ours = estimate_coil_maps(kspace, calibration_width=20, crop=0.0)
    theirs = EspiritCalib(kspace.numpy(), calib_width=20, crop=0.0, max_iter=2000, show_pbar=False).run()
    assert inner_products(ours, torch.from_numpy(theirs))[inside].min() > 1 - 1e-9


def test_a_dead_coil_is_as_if_left_out():
    kspace, _, _ = scan(coils=6, dtype=torch.complex128)
    without = torch.cat([kspace[:2], kspace[3:]])
    kspace[2] = 0
    maps = estimate_coil_maps(kspace)
    assert float(maps[2].abs().max()) < 1e-12
    torch.testing.assert_close(
        torch.cat([maps[:2], maps[3:]]), estimate_coil_maps(without), rtol=0, atol=1e-9
    )


@pytest.mark.usefixtures("unchecked")
def test_refuses_what_is_no_slice():
    kspace, _, _ = scan()
    with pytest.raises(ValueError, match=r"expected complex kspace \(coil, ky, kx\) .* \(1, 5, 64, 48\)"):
        estimate_coil_maps(kspace[None])
    with pytest.raises(ValueError, match=r"got torch.float32 of shape"):
        estimate_coil_maps(kspace.real)
    kspace[0, 32, 24] = math.nan
    with pytest.raises(ValueError, match="expected a finite centre of kspace, got NaN or infinite"):
        estimate_coil_maps(kspace)
    for options in ({"kernel_width": 1}, {"threshold": 0.0}, {"crop": 1.0}):
        with pytest.raises(
            ValueError, match=r"expected kernel_width >= 2, 0 < threshold < 1 and 0 <= crop < 1"
        ):
            estimate_coil_maps(kspace, **options)


@pytest.mark.data
@pytest.mark.skipif(shutil.which("bart") is None, reason="bart is not installed")
def test_maps_of_a_head_equal_those_of_bart(data_folder, tmp_path):
    coils, height, width = 8, 180, 230
    kspace = np.fromfile(data_folder / "brain_noise.cfl", np.complex64).reshape(coils, height, width)
    # BART: readout, phase, slice, coil, in Fortran's order; its centre is at size // 2, too
    (tmp_path / "kspace.hdr").write_text(f"# Dimensions\n{height} {width} 1 {coils}\n")
    kspace.transpose(1, 2, 0).ravel(order="F").tofile(tmp_path / "kspace.cfl")
    subprocess.run(
        ["bart", "ecalib", "-m1", "-r", "24", str(tmp_path / "kspace"), str(tmp_path / "maps")],
        check=True,
        capture_output=True,
        timeout=60,
    )
    theirs = np.fromfile(tmp_path / "maps.cfl", np.complex64).reshape((height, width, coils), order="F")
    theirs = torch.from_numpy(np.ascontiguousarray(theirs.transpose(2, 0, 1)))
    ours = estimate_coil_maps(torch.from_numpy(kspace), calibration_width=24)

    image = torch.linalg.vector_norm(ifft2c(torch.from_numpy(kspace)), dim=0)
    head = image > 0.1 * image.max()
    covered = [(maps != 0).any(dim=0) & head for maps in (ours, theirs)]
    assert min(int(part.sum()) for part in covered) > 0.99 * int(head.sum())
    agreement = inner_products(ours, theirs)[covered[0] & covered[1]]
    assert agreement.quantile(0.01) > 0.999
    assert agreement.median() > 0.99999
    assert (agreement > 0.99).all()


def test_what_is_seen_is_the_rss_of_the_coil_images():
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(3, 8, 6, dtype=torch.complex128, generator=generator)
    maps[:, :2] = 0.0
    image = torch.randn(2, 8, 6, dtype=torch.complex128, generator=generator)
    operator = CoilFourier(mask=torch.ones(6, dtype=torch.bool), coil_maps=maps)
    seen = operator.seen(image)
    torch.testing.assert_close(seen.abs(), (maps * image[:, None]).abs().square().sum(1).sqrt())
    assert not seen[:, :2].any()
