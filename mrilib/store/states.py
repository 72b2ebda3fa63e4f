"""States of solvers as plain values: for files from which nothing is unpickled.

A state is what `Solution.state` holds: dataclasses of `mrilib`, tuples, lists, dictionaries with text for
keys, tensors, numbers, texts, booleans, `None`. Classes are written as import paths.
"""

import dataclasses
import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrilib.store.units import content_hash

PACKAGE = "mrilib"
PLAIN = (bool, int, float, str, type(None))
# Each composite is a dictionary with one of these keys.
KINDS = ("class", "dict", "list", "tuple", "array")


def pack(state: Any) -> Any:
    """The state in plain values and tensors on the CPU, as `write_state` takes them; `unpack` is the inverse.

    Tensors are not copied if they are on the CPU, so write them before they change.

    Raises:
        ValueError: for what no state holds; says where in it.
    """
    return _packed(state, lambda _, tensor: tensor, "")


def unpack(packed: Any, device: torch.device | str = "cpu", where: str = "state") -> Any:
    """The state that `pack` was given, bit for bit, on `device`.

    Args:
        packed: from a file.
        device: of all tensors.
        where: what the messages begin with: the file.

    Raises:
        ValueError: if it is malformed, or of a class that is no dataclass of `mrilib`, or if a field is
            missing or unknown.
    """
    return _unpacked(packed, lambda name: _no_array(name, where), device, where)


def pack_arrays(state: Any, name: str = "state") -> tuple[dict[str, np.ndarray], str]:
    """The state as arrays and a JSON text, for a group of an HDF5 file; `unpack_arrays` is the inverse.

    Args:
        state: of a solver.
        name: what the names of the arrays begin with; the names of fields follow, after dots.

    Raises:
        ValueError: for what no state holds, and for types that NumPy lacks (bfloat16); says where.
    """
    arrays: dict[str, np.ndarray] = {}

    def put(place: str, tensor: Tensor) -> dict[str, str]:
        key = f"{name}{place}"
        while key in arrays:  # a key with a dot may read like a path
            key += "_"
        try:
            arrays[key] = tensor.numpy()
        except TypeError as error:
            raise ValueError(f"{key}: no array can hold a tensor of {tensor.dtype} ({error})") from error
        return {"array": key}

    packed = _packed(state, put, "")
    return arrays, json.dumps(packed)


def unpack_arrays(
    arrays: Mapping[str, np.ndarray],
    text: str,
    device: torch.device | str = "cpu",
    where: str = "state",
) -> Any:
    """The state that `pack_arrays` was given, bit for bit, on `device`.

    Args:
        arrays: of the group; there may be more than those of the state.
        text: the JSON text.
        device: of all tensors.
        where: what the messages begin with: the file.

    Raises:
        ValueError: as `unpack`, and if an array is missing.
    """
    try:
        packed = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{where}: not the JSON text of a state ({error}); compute it again") from error

    def get(name: str) -> Tensor:
        if name not in arrays:
            raise ValueError(f"{where}: no array {name!r}; it has {sorted(arrays)}")
        # A copy: NumPy's memory may be read-only, and numbers without axes come from files as no arrays.
        return torch.from_numpy(np.array(arrays[name]))

    return _unpacked(packed, get, device, where)


def state_hash(state: Any) -> str:
    """Hash of a state: equal for states that are equal bit for bit."""
    arrays, text = pack_arrays(state)
    return content_hash(text, *arrays.values())


def _packed(value: Any, put: Callable[[str, Tensor], Any], place: str) -> Any:
    if isinstance(value, Tensor):
        return put(place, value.detach().cpu().resolve_conj().resolve_neg())
    # `type`, not `isinstance`: a subclass would come back as its base.
    if type(value) in PLAIN:
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [_packed(item, put, f"{place}.{n}") for n, item in enumerate(value)]}
    if type(value) is dict and all(type(key) is str for key in value):
        return {"dict": {key: _packed(item, put, f"{place}.{key}") for key, item in value.items()}}
    kind = type(value)
    if dataclasses.is_dataclass(value) and _of_package(kind.__module__):
        parts = {
            field.name: _packed(getattr(value, field.name), put, f"{place}.{field.name}")
            for field in dataclasses.fields(kind)
        }
        return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": parts}
    raise ValueError(
        f"state{place}: expected a dataclass of {PACKAGE}, a tuple, a list, a dictionary with text for keys, "
        f"a tensor or a plain value, got {kind.__module__}:{kind.__qualname__}"
    )


def _unpacked(packed: Any, get: Callable[[str], Tensor], device: torch.device | str, where: str) -> Any:
    if isinstance(packed, Tensor):
        return packed.to(device)
    if type(packed) in PLAIN:
        return packed
    kinds = [kind for kind in KINDS if kind in packed] if isinstance(packed, dict) else []
    if len(kinds) != 1 or packed.keys() - {kinds[0], "fields"}:
        raise ValueError(f"{where}: expected one of {KINDS}, got {_shown(packed)}; compute it again")
    kind, content = kinds[0], packed[kinds[0]]
    expected = {"class": str, "dict": dict, "array": str}.get(kind, list)
    if not isinstance(content, expected) or (kind == "class") != isinstance(packed.get("fields"), dict):
        raise ValueError(f"{where}: expected a state's {kind}, got {_shown(packed)}; compute it again")
    if kind == "array":
        return get(content).to(device)
    if kind == "dict":
        return {key: _unpacked(item, get, device, where) for key, item in content.items()}
    if kind in ("list", "tuple"):
        items = [_unpacked(item, get, device, where) for item in content]
        return items if kind == "list" else tuple(items)
    found = _dataclass(content, where)
    names = {field.name for field in dataclasses.fields(found)}
    if packed["fields"].keys() != names:
        raise ValueError(
            f"{where}: expected the fields {sorted(names)} of {content}, got {sorted(packed['fields'])}; "
            "the state is of another version: compute it again"
        )
    return found(**{key: _unpacked(item, get, device, where) for key, item in packed["fields"].items()})


def _dataclass(path: str, where: str) -> type:
    """The dataclass of this package that an import path names; no other module is imported."""
    module, _, name = path.partition(":")
    if not _of_package(module):
        raise ValueError(f"{where}: expected a class of {PACKAGE}, got {path!r}; no other is loaded")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(
            f"{where}: no class {path!r} ({error}); the state is of another version: compute it again"
        ) from error
    if not (isinstance(found, type) and dataclasses.is_dataclass(found) and found.__module__ == module):
        raise ValueError(f"{where}: expected a dataclass, got {path!r}; no other class is loaded")
    return found


def _of_package(module: str) -> bool:
    return module.split(".")[0] == PACKAGE


def _no_array(name: str, where: str) -> Tensor:
    raise ValueError(f"{where}: expected a tensor, got the name {name!r} of an array; use unpack_arrays")


def _shown(packed: Any) -> str:
    return str(sorted(map(str, packed)) if isinstance(packed, dict) else type(packed).__name__)
