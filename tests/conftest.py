"""Fixtures and settings of every test."""

import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported: one thread, as in the workflow's CPU jobs, so that sums have one order.
os.environ["OMP_NUM_THREADS"] = "1"

import jaxtyping
import pytest
import torch

torch.set_num_threads(1)

# What a shell starts in the background is deaf to interrupts, and so are its children: some tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Files whose slow tests take longest, the longest first.
LONGEST = (
    "tests/slurm/test_cluster.py",
    "tests/workflow/test_kills.py",
    "tests/workflow/test_edits.py",
    "tests/workflow/test_workflow.py",
    "tests/workflow/test_mixed.py",
    "tests/workflow/test_odd_volumes.py",
    "tests/workflow/test_outside.py",
    "tests/workflow/test_upkeep.py",
    "tests/workflow/test_resumed_jobs.py",
    "tests/workflow/test_records.py",
    "tests/workflow/test_receipts.py",
    "tests/workflow/test_scans.py",
)
# Files that share a run or a cluster: file to the one that it goes with.
TOGETHER = {
    "tests/workflow/test_edits.py": "tests/workflow/test_kills.py",
    "tests/slurm/test_rehearsal.py": "tests/slurm/test_cluster.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the tests that take longest: what starts last decides when all are done."""
    ranks = {file: rank for rank, file in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile`, keep files together that share a run, as well as the tests of a file.

    Marks of groups, which are for this, pytest-xdist 3.8 cannot read under pytest 9.2.
    """
    if config.getvalue("dist") != "loadfile":
        return None

    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = super()._split_scope(nodeid)
            return TOGETHER.get(file, file)

    return Together(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks begin with the same parameters whichever tests came before."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of sample files: MRI_ROBUSTNESS_DATA, or `shared/data` beside the checkout."""
    named = os.environ.get("MRI_ROBUSTNESS_DATA")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if named and not folder.is_dir():
        raise FileNotFoundError(f"MRI_ROBUSTNESS_DATA: expected a folder, got {folder}")
    if not folder.is_dir():
        pytest.skip("no sample files; name their folder in MRI_ROBUSTNESS_DATA")
    return folder


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call mrilib as users do, without the check of signatures, to see its own errors."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def measured() -> Callable[..., tuple[Any, Any, Any]]:
    """`measured(size, lines)`: a phantom, its noisy k-space, and the operator.

    `phase` makes the image complex, `noise` is the relative level, `dtype` that of the k-space.
    """
    # Not at the top: jaxtyping's hook must come before mrilib.
    from mrilib.data.images.ellipses import ellipse_phantoms
    from mrilib.data.masks import radial_mask
    from mrilib.operators.fourier import MaskedFourier

    def draw(size, lines, *, index=0, phase=False, noise=0.0, dtype=torch.complex128):
        operator = MaskedFourier(mask=radial_mask(size, lines))
        image = ellipse_phantoms(1, size=size, seed=1, first=index)[0].to(dtype)
        if phase:
            image = image * torch.exp(1j * image.flip(0))
        kspace = operator.forward(image)
        generator = torch.Generator().manual_seed(index)
        errors = (
            torch.randn(kspace.shape, generator=generator, dtype=torch.complex128).to(dtype) * operator.mask
        )
        return image, kspace + errors * (noise * kspace.norm() / math.sqrt(operator.samples)), operator

    return draw


@pytest.fixture(scope="session")
def draw() -> Callable[..., torch.Tensor]:
    """`draw(*shape, seed=0)`: complex normal numbers in double precision."""

    def normal(*shape, seed=0):
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.complex128)

    return normal


@pytest.fixture
def forget() -> Iterator[Callable[[], None]]:
    """Let code be read from its files anew, as they are now, and once more after the test."""
    from workflow_scripts import provenance

    cached = [value for value in vars(provenance).values() if hasattr(value, "cache_clear")]

    def clear() -> None:
        for function in cached:
            function.cache_clear()

    clear()
    yield clear
    clear()
