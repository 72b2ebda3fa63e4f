"""The XML header of raw data: what is read from it, and headers for files that we write."""

import math
import xml.etree.ElementTree as etree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mrilib.data.volumes.foreign import VolumeError, reading

NAMESPACE = "http://www.ismrm.org/ISMRMRD"
# Encoding counters are 16-bit numbers, so a longer side cannot be addressed.
LONGEST_SIDE = 65535
# Gyromagnetic ratio of ¹H over 2π, in Hz/T.
HERTZ_PER_TESLA = 42.577478518e6


@dataclass(frozen=True)
class Space:
    """A matrix `(x, y, z)` and its field of view in mm; `None` where the header has none."""

    matrix: tuple[int, int, int]
    field_of_view: tuple[float, float, float] | None


@dataclass(frozen=True)
class Limits:
    """First and last value of an encoding counter, and the value at zero frequency."""

    minimum: int
    maximum: int
    center: int


@dataclass(frozen=True)
class ScanHeader:
    """What this project uses of an ISMRMRD header, of its first encoding.

    Args:
        encoded, recon: `encodedSpace` and `reconSpace`.
        trajectory: in lower case; empty if not said.
        lines, partitions: limits of `kspace_encoding_step_1` and `_2`.
        patient, protocol, anatomy, system: empty where not said.
        field_strength: in T, from `systemFieldStrength_T`, or else from the resonance frequency of ¹H.
        channels: `receiverChannels`; `None` where not said, or no number.
        numbers: `userParameterLong`, by name.
    """

    encoded: Space
    recon: Space
    trajectory: str
    lines: Limits | None
    partitions: Limits | None
    patient: str
    protocol: str
    anatomy: str
    system: str
    field_strength: float | None
    channels: int | None
    numbers: dict[str, int]


def parse_header(xml: str, path: str | Path, dataset: str) -> ScanHeader:
    """Read an ISMRMRD header.

    Raises:
        VolumeError: if it is no XML, or matrix sizes, fields of view or limits are missing or no numbers.
    """
    root = _root(xml, path, dataset)

    def text(names: str) -> str:
        node = _find(root, names)
        return (node.text or "").strip() if node is not None else ""

    encoding = _find(root, "encoding")
    if encoding is None:
        raise VolumeError(path, f"{dataset}: encoding", "one", "none")
    fields = _Fields(path, dataset)
    field = fields.real(_find(root, "acquisitionSystemInformation/systemFieldStrength_T"), "field strength")
    if field is None:
        name = "H1resonanceFrequency_Hz"
        frequency = fields.real(_find(root, f"experimentalConditions/{name}"), name)
        field = frequency / HERTZ_PER_TESLA if frequency else None
    vendor = text("acquisitionSystemInformation/systemVendor")
    model = text("acquisitionSystemInformation/systemModel")
    channels = text("acquisitionSystemInformation/receiverChannels")[:9]
    return ScanHeader(
        encoded=fields.space(encoding, "encodedSpace"),
        recon=fields.space(encoding, "reconSpace"),
        trajectory=text("encoding/trajectory").lower(),
        lines=fields.limits(encoding, "kspace_encoding_step_1"),
        partitions=fields.limits(encoding, "kspace_encoding_step_2"),
        patient=text("subjectInformation/patientID"),
        protocol=text("measurementInformation/protocolName"),
        anatomy=text("studyInformation/bodyPartExamined") or text("measurementInformation/bodyPartExamined"),
        system=f"{vendor} {model}".strip(),
        field_strength=field,
        channels=int(channels) if channels.isascii() and channels.isdigit() else None,
        numbers=_user_numbers(root),
    )


def new_header(
    *, matrix: tuple[int, int], target: tuple[int, int], coils: int, field_strength: float | None = None
) -> str:
    """A header with what is known of a volume that came without one: `(rows, columns)`, coils, field in T.

    Fields of view are not made up: there are none.
    """
    root = etree.Element(f"{{{NAMESPACE}}}ismrmrdHeader")
    if field_strength is not None:
        _set(root, "acquisitionSystemInformation/systemFieldStrength_T", f"{field_strength:g}")
    _set(root, "acquisitionSystemInformation/receiverChannels", coils)
    if field_strength is not None:
        frequency = round(field_strength * HERTZ_PER_TESLA)
        _set(root, "experimentalConditions/H1resonanceFrequency_Hz", frequency)
    for name, (rows, columns) in (("encodedSpace", matrix), ("reconSpace", target)):
        for axis, size in (("x", rows), ("y", columns), ("z", 1)):
            _set(root, f"encoding/{name}/matrixSize/{axis}", size)
    limits = "encoding/encodingLimits/kspace_encoding_step_1"
    for name, value in (("minimum", 0), ("maximum", matrix[1] - 1), ("center", matrix[1] // 2)):
        _set(root, f"{limits}/{name}", value)
    _set(root, "encoding/trajectory", "cartesian")
    return _text(root)


def edit_header(xml: str, values: Mapping[str, float | int | str]) -> str:
    """The same header with other values at paths such as `encoding/reconSpace/matrixSize/x`."""
    root = etree.fromstring(xml)
    for node in root.iter():
        if isinstance(node.tag, str):
            node.tag = f"{{{NAMESPACE}}}{_local(node)}"
    for names, value in values.items():
        _set(root, names, value)
    return _text(root)


class _Fields:
    """Numbers of a header, or a `VolumeError` that names the element."""

    def __init__(self, path: str | Path, dataset: str) -> None:
        self._path, self._dataset = path, dataset

    def integer(self, parent: etree.Element, names: str, low: int) -> int:
        node = _find(parent, names)
        found = "nothing" if node is None else (node.text or "").strip()
        if not (found.isascii() and found.isdigit() and low <= int(found[:9]) <= LONGEST_SIDE):
            expected = f"an integer from {low} to {LONGEST_SIDE}"
            raise VolumeError(self._path, f"{self._dataset}: {names}", expected, found[:40])
        return int(found)

    def real(self, node: etree.Element | None, name: str) -> float | None:
        if node is None or not (node.text or "").strip():
            return None
        try:
            value = float(node.text or "")
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0.0):
            found = (node.text or "").strip()[:40]
            raise VolumeError(self._path, f"{self._dataset}: {name}", "a number >= 0", found)
        return value

    def space(self, encoding: etree.Element, name: str) -> Space:
        x, y, z = (self.integer(encoding, f"{name}/matrixSize/{axis}", 1) for axis in "xyz")
        sides = [
            self.real(_find(encoding, f"{name}/fieldOfView_mm/{axis}"), f"{name} fieldOfView_mm")
            for axis in "xyz"
        ]
        known = [side for side in sides if side]
        return Space((x, y, z), (known[0], known[1], known[2]) if len(known) == 3 else None)

    def limits(self, encoding: etree.Element, name: str) -> Limits | None:
        if _find(encoding, f"encodingLimits/{name}") is None:
            return None
        ends = ("minimum", "maximum", "center")
        low, high, center = (self.integer(encoding, f"encodingLimits/{name}/{end}", 0) for end in ends)
        if low > high:
            where = f"{self._dataset}: encodingLimits/{name}"
            raise VolumeError(self._path, where, "minimum <= maximum", f"{low} and {high}")
        return Limits(low, high, center)


def _root(xml: str, path: str | Path, dataset: str) -> etree.Element:
    # No scanner writes one, and entities can make a small text a large one.
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise VolumeError(path, dataset, "an ISMRMRD header", "a document type definition")
    with reading(path, dataset, "an ISMRMRD header in XML"):
        return etree.fromstring(xml)


def _local(node: etree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _find(node: etree.Element, names: str) -> etree.Element | None:
    """The first element at the path, in any namespace."""
    for name in names.split("/"):
        found = [child for child in node if isinstance(child.tag, str) and _local(child) == name]
        if not found:
            return None
        node = found[0]
    return node


def _set(root: etree.Element, names: str, value: float | int | str) -> None:
    node = root
    for name in names.split("/"):
        child = _find(node, name)
        node = etree.SubElement(node, f"{{{NAMESPACE}}}{name}") if child is None else child
    node.text = f"{value:.9g}" if isinstance(value, float) else str(value)


def _user_numbers(root: etree.Element) -> dict[str, int]:
    numbers: dict[str, int] = {}
    entries = _find(root, "userParameters")
    if entries is None:
        return numbers
    for entry in entries:
        name, value = _find(entry, "name"), _find(entry, "value")
        if _local(entry) == "userParameterLong" and name is not None and value is not None:
            found = (value.text or "").strip()
            if found.lstrip("-").isdigit() and found.isascii():
                numbers[(name.text or "").strip()] = int(found[:19])
    return numbers


def _text(root: etree.Element) -> str:
    # A prefix would hide elements from readers that do not know namespaces, as the ISMRMRD library's.
    try:
        body = etree.tostring(root, encoding="unicode", default_namespace=NAMESPACE)
    except ValueError:  # attributes without namespace, which ElementTree cannot write beside a default one
        body = etree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}'
