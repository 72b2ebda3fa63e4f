import json
import sys
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from mrilib.operators.bases import Cosine, Wavelet
from mrilib.operators.fourier import MaskedFourier
from mrilib.reconstructors.l1 import L1
from mrilib.reconstructors.linear import Tikhonov, ZeroFilled
from mrilib.reconstructors.total_variation import TotalVariation
from mrilib.reconstructors.untrained import Untrained
from mrilib.solvers.total_variation.problem import VariationStart
from mrilib.store.arrays import Group, read_group, write_groups
from mrilib.store.checkpoints import read_state, write_state
from mrilib.store.states import pack, pack_arrays, state_hash, unpack, unpack_arrays
from tests.reconstructors.scenes import multicoil

TINY = {
    "class": "mrilib.networks.decoders:ConvDecoder",
    "arguments": {"channels": 4, "layers": 2, "in_size": [4, 4]},
}


def solution(method, *, coils=True, mask=None):
    """Of 16×16 pixels in complex64."""
    kspace, operator = multicoil((16, 16), dtype=torch.complex64, mask=mask)
    if not coils:
        operator, kspace = MaskedFourier(mask=operator.mask), kspace[0]
    return method.solve(kspace, operator, throw=False), kspace, operator


def scattered():
    generator = torch.Generator().manual_seed(3)
    mask = torch.rand(16, 16, generator=generator) < 0.5
    mask[8, 8] = True
    return mask


# name: method and scene, so that every solver has left a state
SOLVERS = {
    "admm": (TotalVariation(weight=0.02, tolerance=1e-3), {"coils": False}),
    "coil splitting": (TotalVariation(weight=0.02, tolerance=1e-3), {"mask": scattered()}),
    "coil splitting on lines": (TotalVariation(weight=0.02, tolerance=1e-3), {}),
    "coil splitting of a basis": (
        L1(basis=Wavelet(levels=5), weight=0.02, tolerance=1e-2),
        {"mask": scattered()},
    ),
    "line splitting": (L1(basis=Cosine(), weight=0.02, tolerance=1e-2), {}),
    "fista": (L1(basis=Cosine(), weight=0.02, tolerance=1e-2), {"mask": scattered()}),
    "decoders": (Untrained(network=TINY, steps=2, fits=2), {}),
    "image": (Tikhonov(weight=0.1), {}),
    "none": (ZeroFilled(), {}),
}


def tensors(state, place=""):
    """All tensors of a state, and all else, by place: the slow, obvious walk."""
    if is_dataclass(state):
        yield place, type(state)
        for field in fields(state):
            yield from tensors(getattr(state, field.name), f"{place}.{field.name}")
    elif isinstance(state, dict):
        yield place, sorted(state)
        for key, value in state.items():
            yield from tensors(value, f"{place}.{key}")
    elif isinstance(state, list | tuple):
        yield place, type(state)
        for index, value in enumerate(state):
            yield from tensors(value, f"{place}.{index}")
    else:
        yield place, state


def bits(value):
    return value.resolve_conj().contiguous().numpy().tobytes() if isinstance(value, Tensor) else repr(value)


def assert_same(found, expected):
    found, expected = list(tensors(found)), list(tensors(expected))
    assert [place for place, _ in found] == [place for place, _ in expected]
    for (place, mine), (_, other) in zip(found, expected, strict=True):
        assert type(mine) is type(other), place
        assert bits(mine) == bits(other), place
        if isinstance(mine, Tensor):
            assert (mine.dtype, mine.shape) == (other.dtype, other.shape), place


MIXED = {
    "a": (1, 2.5, "text", None, True, [float("inf"), -0.0, 0.1 + 0.2]),
    "a.b": [torch.tensor(3.0, dtype=torch.float64), torch.tensor([True, False]), torch.zeros(0, 3)],
    "": {"nothing": (), "b": torch.tensor([-0.0, float("nan"), 1e-45])},
    "turned": torch.arange(6).reshape(2, 3).T,
    "conj": torch.tensor([1 + 2j]).conj(),
}


@pytest.fixture(params=[*SOLVERS, "mixed"])
def state(request):
    return (
        MIXED
        if request.param == "mixed"
        else solution(SOLVERS[request.param][0], **SOLVERS[request.param][1])[0].state
    )


def test_a_state_comes_back_from_a_checkpoint_to_the_last_bit(state, tmp_path):
    write_state(tmp_path / "state.pt", {"state": pack(state)})
    assert_same(unpack(read_state(tmp_path / "state.pt")["state"]), state)


def test_a_state_comes_back_from_an_hdf5_group_to_the_last_bit(state, tmp_path):
    arrays, text = pack_arrays(state)
    assert all(name.startswith("state") for name in arrays)
    write_groups(tmp_path / "state.h5", {"clean": Group(arrays, {"state": text})})
    group = read_group(tmp_path / "state.h5", "clean")
    assert_same(unpack_arrays(group.arrays, group.attributes["state"]), state)


@pytest.mark.parametrize("name", ["admm", "coil splitting", "line splitting", "fista", "decoders", "image"])
def test_a_solve_starts_from_what_came_back_as_from_the_state_itself(name):
    method, scene = SOLVERS[name]
    first, kspace, operator = solution(method, **scene)
    expected = method.solve(1.01 * kspace, operator, start=first.state)
    for state in (unpack(pack(first.state)), unpack_arrays(*pack_arrays(first.state))):
        found = method.solve(1.01 * kspace, operator, start=state)
        assert torch.equal(found.value, expected.value)
        assert torch.equal(found.stats["steps"], expected.stats["steps"])


def test_names_of_arrays_say_what_they_are():
    method, scene = SOLVERS["coil splitting"]
    found = solution(method, **scene)[0].state
    arrays, text = pack_arrays(found, "start")
    assert sorted(arrays) == [
        "start.state.copies.rest",
        "start.state.copies.spectra",
        "start.state.parts",
        "start.threshold",
    ]
    assert json.loads(text)["class"] == "mrilib.solvers.coils.splitting:SplitStart"
    # two places that read alike stay apart
    clash = {"a.b": torch.zeros(1), "a": {"b": torch.ones(1)}}
    arrays, text = pack_arrays(clash)
    assert len(arrays) == 2
    assert_same(unpack_arrays(arrays, text), clash)


def test_tensors_go_to_the_device_that_is_named():
    state = VariationStart(torch.zeros(2, 4, 4, dtype=torch.complex64), torch.ones(1, 1, 1))
    for found in (unpack(pack(state), "meta"), unpack_arrays(*pack_arrays(state), device="meta")):
        assert found.field.device.type == found.threshold.device.type == "meta"


def test_what_came_back_is_memory_of_its_own():
    state = {"a": torch.zeros(3)}
    arrays, text = pack_arrays(state)
    unpack_arrays(arrays, text)["a"].add_(1.0)
    assert not arrays["state.a"].any()


def test_the_hash_sees_every_bit():
    state = {"a": torch.tensor([1.0, 2.0]), "b": 1}
    same = {"a": torch.tensor([1.0, 2.0], requires_grad=True), "b": 1}
    others = [
        {"a": torch.tensor([1.0, 2.0]).double(), "b": 1},
        {"a": torch.tensor([1.0, np.nextafter(np.float32(2), np.float32(3))]), "b": 1},
        {"a": torch.tensor([[1.0, 2.0]]), "b": 1},
        {"a": torch.tensor([1.0, 2.0]), "b": 1.0},
        {"b": 1},
        None,
    ]
    assert state_hash(state) == state_hash(same)
    assert len({state_hash(each) for each in [state, *others]}) == 7


@dataclass(frozen=True)
class Foreign:
    """A state of a user's own method."""

    field: Tensor


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (
            {"a": [1, Foreign(torch.zeros(1))]},
            r"state\.a\.1: expected a dataclass of mrilib, .* got tests\..*:Foreign",
        ),
        ((1, {2}), r"state\.1: expected .* got builtins:set"),
        ({1: 2}, r"state: expected .* a dictionary with text for keys.* got builtins:dict"),
        (Tikhonov(weight=0.1), r"got mrilib\.reconstructors\.linear:Tikhonov"),
    ],
)
def test_what_no_state_holds_is_refused(state, message):
    with pytest.raises(ValueError, match=message):
        pack(state)
    with pytest.raises(ValueError, match=message):
        pack_arrays(state)


def test_types_that_numpy_lacks_are_refused():
    with pytest.raises(ValueError, match=r"state\.a: no array can hold a tensor of torch\.bfloat16"):
        pack_arrays({"a": torch.zeros(1, dtype=torch.bfloat16)})


START = "mrilib.solvers.total_variation.problem:VariationStart"


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        ({"class": "os:system", "fields": {}}, "a.pt: expected a class of mrilib, got 'os:system'"),
        ({"class": "mrilibrary:X", "fields": {}}, "expected a class of mrilib, got 'mrilibrary:X'"),
        (
            {"class": "mrilib.solvers.gone:X", "fields": {}},
            r"a.pt: no class 'mrilib.solvers.gone:X' \(No mod",
        ),
        (
            {"class": "mrilib.solvers.total_variation.problem:Gone", "fields": {}},
            r"no class .* another version",
        ),
        (
            {"class": "mrilib.solvers.total_variation.problem:step", "fields": {}},
            "expected a dataclass, got .*:step",
        ),
        (
            {"class": "mrilib.solvers.total_variation.admm:VariationStart", "fields": {}},
            "expected a dataclass, got .*admm:VariationStart",
        ),
        (
            {"class": START, "fields": {"field": None}},
            r"expected the fields \['field', 'threshold'\] of .*\['field'\]",
        ),
        (
            {"class": START, "fields": {"field": None, "threshold": None, "more": 1}},
            r"expected the fields .* got \['field', 'more', 'threshold'\]",
        ),
        ({"class": START}, "a.pt: expected a state's class"),
        ({"list": {}}, "a.pt: expected a state's list"),
        ({"list": [], "fields": {}}, "a.pt: expected a state's list"),
        ({"list": [], "dict": {}}, r"a.pt: expected one of .* got \['dict', 'list'\]"),
        ({"a": 1}, r"a.pt: expected one of .* got \['a'\]"),
        ([1], "a.pt: expected one of .* got list"),
        ({"list": [{"array": "b"}]}, "a.pt: "),
    ],
)
def test_a_malformed_state_is_told(packed, message):
    with pytest.raises(ValueError, match=message):
        unpack(packed, where="a.pt")
    with pytest.raises(ValueError, match=message):
        unpack_arrays({"c": np.zeros(1)}, json.dumps(packed), where="a.pt")


def test_a_lacking_array_and_other_text_are_told():
    arrays, text = pack_arrays({"a": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"a\.h5: no array 'state\.a'; it has \['other'\]"):
        unpack_arrays({"other": arrays["state.a"]}, text, where="a.h5")
    with pytest.raises(ValueError, match=r"a\.h5: not the JSON text of a state"):
        unpack_arrays(arrays, text[:-1], where="a.h5")


def test_nothing_foreign_is_imported(tmp_path, monkeypatch):
    (tmp_path / "mrilib_evil.py").write_text("raise SystemExit('run')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match="no other is loaded"):
        unpack({"class": "mrilib_evil:X", "fields": {}})
    assert "mrilib_evil" not in sys.modules
