"""What converting and reading raw volumes costs: MB/s, and the memory that it takes."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py

from benchmarks.problems import save
from mrilib.data.volumes.cfl import convert_cfl
from mrilib.data.volumes.fastmri import check_volume, read_slice
from mrilib.data.volumes.ismrmrd import convert
from tests.data.volumes.peak_memory import peak_growth
from tests.data.volumes.raw_files import cartesian_scan, noise_kspace, write_cfl

RUNS = 5
# (slice, partition, line, coil, sample): 2-D and 3-D, readouts oversampled twice, about 200 MB each
FLAT, DEEP = (24, 1, 256, 8, 512), (1, 96, 256, 8, 128)


def timed(task: Callable[[], Any]) -> float:
    """Median of the seconds of some runs."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        task()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def main(arguments: list[str]) -> None:
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        volume = folder / "volume.h5"

        def peak(source: Path, volume: Path) -> float:
            return peak_growth("mrilib.data.volumes.ismrmrd:_convert", source, volume) / 1e6

        def add(what: str, path: Path, task: Callable[[], Any], memory: float | str = "") -> None:
            megabytes = path.stat().st_size / 1e6
            rate = megabytes / timed(task)
            rows.append({"what": what, "MB": megabytes, "MB/s": rate, "memory (MB)": memory})

        source = folder / "raw.h5"
        for what, shape in (("ISMRMRD, 2-D", FLAT), ("ISMRMRD, 3-D", DEEP)):
            cartesian_scan(noise_kspace(*shape), oversampling=2).write(source)
            add(what, source, lambda: convert(source, volume), peak(source, volume))

        def read_table() -> None:
            with h5py.File(source) as file:
                for start in range(0, len(file["dataset/data"]), 256):
                    file["dataset/data"][start : start + 256]

        add("the table of the 3-D file alone, by h5py", source, read_table)
        write_cfl(folder / "a", noise_kspace(256, 256, 24, 8))
        add("BART", folder / "a.cfl", lambda: convert_cfl(folder / "a", volume))
        add("check of a volume", volume, lambda: check_volume(volume))
        add(
            "reading of a volume by slices",
            volume,
            lambda: [read_slice(volume, position) for position in range(24)],
        )
    save("conversion", rows)
