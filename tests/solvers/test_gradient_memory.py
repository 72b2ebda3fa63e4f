import weakref
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from mrilib.solvers.gradient_memory import CPU_BYTES, CUDA_BYTES, gradient_room, saved_bytes


def kept_bytes(work, but=()):
    """The slow reference: everything is kept, and every storage counted once."""
    kept = []
    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(
            lambda array: kept.append(array) or array, lambda array: array
        ),
    ):
        result = work()
    left_out = {array.untyped_storage().data_ptr() for array in but}
    sizes = {array.untyped_storage().data_ptr(): array.untyped_storage().nbytes() for array in kept}
    del result
    return sum(size for pointer, size in sizes.items() if pointer not in left_out)


def network():
    layers = [nn.Conv2d(2, 4, 3), nn.InstanceNorm2d(4), nn.LeakyReLU(inplace=True), nn.Conv2d(4, 2, 3)]
    return nn.Sequential(*layers).requires_grad_(False)


@pytest.mark.parametrize("learns", [False, True])
def test_it_is_what_autograd_keeps(learns):
    made, image = network().requires_grad_(learns), torch.randn(1, 2, 20, 20, requires_grad=True)
    but = [image, *made.parameters()]
    found = saved_bytes(lambda: made(image).square().sum(), but=but)
    assert found == kept_bytes(lambda: made(image).square().sum(), but)
    assert found > 0
    assert (saved_bytes(lambda: made(image.detach()), but=but) > 0) is learns


def test_views_count_once_and_complex_ones_too():
    image = torch.randn(8, 8, dtype=torch.complex64, requires_grad=True)

    def work():
        once = torch.fft.fft2(image)
        return (once[:4] * once[4:]).abs() * once.real[:4]

    assert saved_bytes(work, but=[image]) == kept_bytes(work, [image])


def test_addresses_that_are_used_again_count_again():
    image = torch.randn(64, 64, requires_grad=True)

    def work():
        value = image
        for _ in range(10):
            value = value.sin()
        return value

    # the input of every sine, the first of which is the image
    assert saved_bytes(work, but=[image]) == 9 * image.nbytes


def test_nothing_is_kept_and_nothing_can_be_differentiated():
    image, between = torch.randn(64, 64, requires_grad=True), []

    def work():
        first = image.sin()
        between.append(weakref.ref(first))
        return first.cos()

    results = []
    saved_bytes(lambda: results.append(work()))
    assert between[0]() is None
    with pytest.raises(RuntimeError, match="what was counted has no gradient"):
        results[0].sum().backward()


def test_what_is_computed_again_counts_as_what_it_begins_with():
    made, image = network(), torch.randn(1, 2, 20, 20, requires_grad=True)
    start = image.detach() * 1.0

    def work():
        return checkpoint(made, start.requires_grad_(True), use_reentrant=False)

    assert saved_bytes(work) == start.nbytes
    assert saved_bytes(lambda: made(start)) > start.nbytes


def test_the_room_is_that_of_a_kind_of_device(monkeypatch):
    assert gradient_room(torch.device("cpu")) == CPU_BYTES
    for total, room in ((80 << 30, CUDA_BYTES), (10 << 30, 5 << 30)):
        told = SimpleNamespace(total_memory=total)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, told=told: told)
        assert gradient_room(torch.device("cuda")) == room
