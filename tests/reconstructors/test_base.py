import pytest
import torch

from mrilib.attacks.searches.base import Search
from mrilib.attacks.searches.coupled import CoupledAscent
from mrilib.reconstructors.base import Reconstructor, check_kspace
from mrilib.reconstructors.linear import ZeroFilled
from mrilib.solvers.solution import Status
from mrilib.store.classes import load_class


def test_load_class():
    assert load_class("mrilib.reconstructors.linear:ZeroFilled", Reconstructor) is ZeroFilled
    assert load_class("mrilib.attacks.searches.coupled:CoupledAscent", Search) is CoupledAscent


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mrilib.reconstructors.linear.ZeroFilled", "expected package.module:ClassName"),
        ("mrilib.reconstructors.linear:", "expected package.module:ClassName"),
        (":ZeroFilled", "expected package.module:ClassName"),
        ("mrilib.reconstructors.lienar:ZeroFilled", "No module named 'mrilib.reconstructors.lienar'"),
        ("mrilib.reconstructors.linear:ZeroFiled", "has no attribute 'ZeroFiled'; check the spelling"),
        ("mrilib.attacks.searches.coupled:CoupledAscent", "expected a subclass of Reconstructor, got <class"),
        ("mrilib.reconstructors.base:observed", "expected a subclass of Reconstructor, got <function"),
    ],
)
def test_load_class_says_what_is_wrong(path, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_class(path, Reconstructor)
    assert repr(path) in str(caught.value)


def test_kspace_must_be_complex_and_finite():
    check_kspace(torch.zeros(2, 2, dtype=torch.complex64), "here")
    with pytest.raises(ValueError, match=r"here: expected complex kspace, got torch.float32"):
        check_kspace(torch.zeros(2, 2), "here")
    for broken in (complex(float("nan"), 0), complex(0, float("inf"))):
        with pytest.raises(ValueError, match="here: kspace holds NaN or infinite entries"):
            check_kspace(torch.tensor([[broken]]), "here")


def test_solve_of_a_closed_form_has_no_derivative(measured):
    _, kspace, operator = measured(16, 5)
    kspace.requires_grad_(True)
    solution = ZeroFilled().solve(kspace, operator)
    assert solution.status is Status.CONVERGED
    assert not solution.value.requires_grad
    assert torch.equal(solution.value, ZeroFilled()(kspace, operator).detach())
