import math

import numpy as np
import pytest
import torch

from mrilib.data import coil_compression
from mrilib.data.coil_compression import compress_coils
from mrilib.operators.base import ifft2c
from mrilib.operators.coil_images import rss
from tests.data.phantom_scan import scan


@pytest.fixture(scope="module")
def kspace():
    return scan(size=32, coils=12, noise=0.01)


def energy(array):
    return float(torch.view_as_real(array.to(torch.complex128)).square().sum())


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99, 0.999, 1.0])
def test_rows_are_orthonormal_and_the_fewest_with_the_share(kspace, share):
    virtual, matrix = compress_coils(kspace.to(torch.complex128), share=share)
    count = len(matrix)
    assert virtual.shape == (count, 32, 32)
    torch.testing.assert_close(matrix @ matrix.mH, torch.eye(count).to(matrix), rtol=0, atol=1e-12)
    torch.testing.assert_close(virtual, torch.einsum("vc,cyx->vyx", matrix, kspace.to(matrix)))
    assert energy(virtual) >= share * energy(kspace) * (1 - 1e-12)
    assert count == 1 or energy(virtual[:-1]) < share * energy(kspace)


@pytest.mark.parametrize("share", [0.9, 0.99])
def test_virtual_coils_are_those_of_a_plain_svd(kspace, share):
    flat = kspace.reshape(12, -1).numpy().astype(np.complex128)
    left, values, _ = np.linalg.svd(flat, full_matrices=False)
    kept = np.cumsum(values**2) / np.sum(values**2)
    count = 1 + int((kept < share).sum())
    virtual, matrix = compress_coils(kspace, share=share)
    assert len(matrix) == count
    assert virtual.dtype == matrix.dtype == torch.complex64
    expected = left[:, :count].conj().T
    largest = np.take_along_axis(expected, abs(expected).argmax(axis=1)[:, None], axis=1)
    expected *= largest.conj() / abs(largest)
    np.testing.assert_allclose(matrix.numpy(), expected, rtol=0, atol=1e-5)
    norms = torch.linalg.vector_norm(virtual.flatten(1), dim=1)
    np.testing.assert_allclose(norms.numpy(), values[:count], rtol=1e-5)


def test_no_pixel_gains_and_what_all_lose_is_the_lost_energy(kspace):
    kspace = kspace.to(torch.complex128)
    virtual, _ = compress_coils(kspace, share=0.95)
    lost = rss(ifft2c(kspace)).square() - rss(ifft2c(virtual)).square()
    assert float(lost.min()) >= -1e-12 * float(rss(ifft2c(kspace)).max()) ** 2
    assert float(lost.sum()) == pytest.approx(energy(kspace) - energy(virtual), rel=1e-9)
    assert float(lost.sum()) <= 0.05 * energy(kspace)


def test_the_first_of_the_largest_entries_is_positive(kspace):
    _, matrix = compress_coils(kspace.to(torch.complex128), share=1.0)
    for row in matrix:
        entry = row[int(row.abs().argmax())]
        assert abs(float(entry.imag)) < 1e-14
        assert float(entry.real) > 0
    # Two coils that are each other's mirror: the rounding of their moduli does not choose.
    first = torch.exp(1j * torch.arange(12.0)).reshape(1, 3, 4)
    for factor in (1.0, 1.0 + 1e-7, 1.0 - 1e-7):
        pair = torch.cat([first, factor * 1j * first])
        _, matrix = compress_coils(pair, share=0.9)
        torch.testing.assert_close(matrix, torch.tensor([[1.0, -1.0j]]) / math.sqrt(2.0))


def test_phases_of_the_coils_and_blocks_change_nothing(kspace, monkeypatch):
    virtual, matrix = compress_coils(kspace, share=0.99)
    again, same = compress_coils(kspace.clone(), share=0.99)
    assert torch.equal(virtual, again)
    assert torch.equal(matrix, same)
    monkeypatch.setattr(coil_compression, "SAMPLES_AT_ONCE", 100)
    by_blocks, _ = compress_coils(kspace, share=0.99)
    torch.testing.assert_close(by_blocks, virtual, rtol=0, atol=1e-5 * float(virtual.abs().max()))


@pytest.mark.parametrize("factor", [1e-30, 1e-4, 1e25])
def test_virtual_coils_have_no_units(kspace, factor):
    _, expected = compress_coils(kspace, share=0.99)
    _, matrix = compress_coils(kspace * factor, share=0.99)
    torch.testing.assert_close(matrix, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("share", [0.999, 1.0])
def test_coils_that_are_mixtures_of_few_are_as_few(draw, share):
    coils = torch.einsum("cr,ryx->cyx", draw(9, 3), draw(3, 16, 12, seed=1))
    coils[4] = 0
    virtual, matrix = compress_coils(coils, share=share)
    assert len(matrix) == 3
    assert energy(virtual) == pytest.approx(energy(coils), rel=1e-12)
    # A dead coil is in no virtual one.
    assert float(matrix[:, 4].abs().max()) < 1e-12


def test_one_coil_stays_as_it_is(kspace):
    virtual, matrix = compress_coils(kspace[:1], share=0.99)
    assert matrix.tolist() == [[1.0]]
    assert torch.equal(virtual, kspace[:1])


@pytest.mark.usefixtures("unchecked")
def test_refuses_what_is_no_slice(kspace):
    with pytest.raises(
        ValueError, match=r"compress_coils: expected kspace \(coil, ky, kx\) of one slice, got"
    ):
        compress_coils(kspace[None], share=0.9)
    with pytest.raises(ValueError, match="compress_coils: expected complex kspace"):
        compress_coils(kspace.real, share=0.9)
    with pytest.raises(ValueError, match="compress_coils: kspace is zero wherever it is sampled"):
        compress_coils(0 * kspace, share=0.9)
    with pytest.raises(ValueError, match="compress_coils: expected finite kspace, got NaN"):
        compress_coils(kspace * math.nan, share=0.9)
    for share in (0.0, -0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="compress_coils: expected 0 < share <= 1, got"):
            compress_coils(kspace, share=share)
