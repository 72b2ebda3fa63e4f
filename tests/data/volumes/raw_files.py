"""Small raw files whose image is known: ISMRMRD scans and arrays of BART, written here and nowhere else."""

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
from ismrmrd.hdf5 import acquisition_dtype, acquisition_header_dtype

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <subjectInformation><patientID>{patient}</patientID></subjectInformation>
 <measurementInformation>
  <patientPosition>HFS</patientPosition><protocolName>{protocol}</protocolName>
 </measurementInformation>
 <acquisitionSystemInformation>
  <systemVendor>Vendor</systemVendor><systemFieldStrength_T>{field}</systemFieldStrength_T>
 </acquisitionSystemInformation>
 <experimentalConditions><H1resonanceFrequency_Hz>128000000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace>
   <matrixSize><x>{encoded[0]}</x><y>{encoded[1]}</y><z>{encoded[2]}</z></matrixSize>
   <fieldOfView_mm><x>{encoded_mm[0]}</x><y>{encoded_mm[1]}</y><z>{encoded_mm[2]}</z></fieldOfView_mm>
  </encodedSpace>
  <reconSpace>
   <matrixSize><x>{recon[0]}</x><y>{recon[1]}</y><z>{recon[2]}</z></matrixSize>
   <fieldOfView_mm><x>{recon_mm[0]}</x><y>{recon_mm[1]}</y><z>{recon_mm[2]}</z></fieldOfView_mm>
  </reconSpace>
  <encodingLimits>{limits}</encodingLimits>
  <trajectory>{trajectory}</trajectory>
 </encoding>
 <userParameters>{user}</userParameters>
</ismrmrdHeader>
"""


def limits_xml(step: int, minimum: int, maximum: int, center: int) -> str:
    name = f"kspace_encoding_step_{step}"
    return (
        f"<{name}><minimum>{minimum}</minimum><maximum>{maximum}</maximum><center>{center}</center></{name}>"
    )


@dataclass
class RawScan:
    """Acquisition headers, their samples, and the fields of the XML; change them, then `write`."""

    heads: np.ndarray
    samples: list[np.ndarray]
    fields: dict = field(default_factory=dict)

    def write(self, path: Path, group: str = "dataset") -> Path:
        table = np.empty(len(self.heads), dtype=acquisition_dtype)
        for row, head, values in zip(table, self.heads, self.samples, strict=True):
            row["head"], row["traj"] = head, np.zeros(0, np.float32)
            row["data"] = np.ascontiguousarray(values, np.complex64).reshape(-1).view(np.float32)
        with h5py.File(path, "w") as file:
            node = file.create_group(group)
            node.create_dataset("data", data=table, maxshape=(None,), chunks=(1,))
            xml = node.create_dataset("xml", (1,), h5py.special_dtype(vlen=bytes))
            xml[0] = HEADER.format(**self.fields).encode()
        return path

    def pick(self, rows) -> "RawScan":
        """The same scan with its readouts in another order, some left out or twice."""
        rows = np.asarray(rows)
        return RawScan(self.heads[rows].copy(), [self.samples[row] for row in rows], dict(self.fields))

    def __add__(self, other: "RawScan") -> "RawScan":
        heads = np.concatenate([self.heads, other.heads])
        return RawScan(heads, self.samples + other.samples, self.fields)


def cartesian_scan(kspace: np.ndarray, *, oversampling: int = 1) -> RawScan:
    """A scan of k-space `(slice, partition, line, coil, sample)`, on the full encoded grid."""
    slices, partitions, lines, coils, samples = kspace.shape
    heads = np.zeros(slices * partitions * lines, acquisition_header_dtype)
    index = np.indices((slices, partitions, lines)).reshape(3, -1)
    for name, values in zip(("slice", "kspace_encode_step_2", "kspace_encode_step_1"), index, strict=True):
        heads["idx"][name] = values
    heads["version"] = 1
    heads["number_of_samples"], heads["center_sample"] = samples, samples // 2
    heads["available_channels"] = heads["active_channels"] = coils
    heads["scan_counter"] = np.arange(len(heads))
    # sagittal, in the orientation of fastMRI: rows to superior, columns to posterior
    heads["read_dir"], heads["phase_dir"], heads["slice_dir"] = (0, 0, 1), (0, 1, 0), (1, 0, 0)
    heads["position"][:, 0] = 3.0 * index[0]
    rows = samples // oversampling
    limits = limits_xml(1, 0, lines - 1, lines // 2)
    if partitions > 1:
        limits += limits_xml(2, 0, partitions - 1, partitions // 2)
    fields = {
        "patient": "someone",
        "protocol": "SAG PD",
        "field": 3,
        "encoded": (samples, lines, partitions),
        "encoded_mm": (2.0 * samples, 2.0 * lines, 2.0 * partitions),
        "recon": (rows, lines, partitions),
        "recon_mm": (2.0 * rows, 2.0 * lines, 2.0 * partitions),
        "limits": limits,
        "trajectory": "cartesian",
        "user": "",
    }
    return RawScan(heads, list(kspace.reshape(-1, coils, samples)), fields)


def write_cfl(path: Path, values: np.ndarray) -> Path:
    """An array of BART, `path` with two endings; `values` in BART's order of dimensions."""
    dims = values.shape + (1,) * (16 - values.ndim)
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, dims)) + " \n")
    path.with_suffix(".cfl").write_bytes(values.astype("<c8").tobytes(order="F"))
    return path


def noise_kspace(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex normal numbers: no two lines, coils or slices are alike."""
    generator = np.random.default_rng(seed)
    return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(np.complex64)


def direct_ifft(kspace: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Centred orthonormal inverse DFT as a sum, in double precision."""
    values = kspace.astype(np.complex128)
    for axis in axes:
        size = values.shape[axis]
        grid = np.arange(size) - size // 2
        matrix = np.exp(2j * np.pi * np.outer(grid, grid) / size) / np.sqrt(size)
        values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
    return values


def middle(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    """The middle `size` of an axis, its origin kept in the middle."""
    start = values.shape[axis] // 2 - size // 2
    return np.take(values, range(start, start + size), axis)
