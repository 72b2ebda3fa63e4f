from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from mrilib.solvers.items import Items


@dataclass(frozen=True)
class Inner(Items):
    axes: ClassVar[Mapping[str, int]] = {"image": 2}

    image: Any


@dataclass(frozen=True)
class Outer(Items):
    axes: ClassVar[Mapping[str, int]] = {"inner": 0, "weight": 0, "slope": 2}

    inner: Inner
    weight: Any
    shared: Any
    slope: Any = None


@pytest.fixture
def outer():
    images = torch.arange(24.0).reshape(3, 2, 4).to(torch.complex64)
    return Outer(Inner(images), torch.arange(3.0), torch.zeros(5))


@pytest.mark.parametrize("items", [torch.tensor([2, 0]), torch.tensor([True, False, True]), torch.tensor([])])
def test_items_are_taken_from_all_fields_but_the_shared_ones(outer, items):
    items = items.long() if items.dtype == torch.float32 else items
    found = outer[items]
    assert torch.equal(found.inner.image, outer.inner.image[items])
    assert torch.equal(found.weight, outer.weight[items])
    assert found.shared is outer.shared
    assert found.slope is None


def test_one_item_has_no_batch_axis(outer):
    assert outer[1].inner.image.shape == (2, 4)
    assert float(outer[1].weight) == 1.0


def test_real_numbers_stay_real_in_another_precision(outer):
    double = outer.to(torch.complex128)
    assert (double.inner.image.dtype, double.weight.dtype) == (torch.complex128, torch.float64)
    assert double.shared.dtype == torch.float32
    assert double.to(torch.complex64).weight.dtype == torch.float32


def test_batches_take_another_shape_and_come_back(outer):
    folded = outer.reshape(3, 1)
    assert (folded.inner.image.shape, folded.weight.shape) == ((3, 1, 2, 4), (3, 1))
    back = folded.reshape(-1)
    assert torch.equal(back.inner.image, outer.inner.image)
    assert outer[torch.tensor([1])].reshape().weight.shape == ()


def test_parts_join_to_what_they_were_taken_from(outer):
    joined = Outer.joined([outer[torch.tensor([0])], outer[torch.tensor([1, 2])]])
    assert torch.equal(joined.inner.image, outer.inner.image)
    assert torch.equal(joined.weight, outer.weight)
