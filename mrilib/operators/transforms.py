"""Fourier transforms of single images, by the library that is fastest on the machine's processor.

MKL, which torch has, is fastest on Intel. On AMD and ARM FFTW is, if pyfftw is installed, for sizes without
large prime factors. The maker of the processor decides, not a race, so that runs on one machine agree to the
last bit; the environment variable `MRI_ROBUSTNESS_FFT`, `torch` or `fftw`, decides otherwise.

These are for loops that transform an image thousands of times. Derivatives are not followed; what needs
them, batches and GPUs have `torch.fft`.
"""

import functools
import importlib.util
import os
import threading
import warnings

import torch
from jaxtyping import Complex
from torch import Tensor

from mrilib.operators import plans, processor

VARIABLE = "MRI_ROBUSTNESS_FFT"
ENGINES = ("torch", "fftw")
# FFTW is slower than MKL, on AMD too, where a length has a larger one.
LARGEST_FACTOR = 7
NAMES = {torch.complex64: "complex64", torch.complex128: "complex128"}
ALIGNMENT = 64  # bytes; of what torch allocates, and enough for FFTW

_made = threading.local()


@functools.cache
def engine() -> str:
    """`"fftw"` or `"torch"`.

    Raises:
        ValueError: if `MRI_ROBUSTNESS_FFT` names another, or one that is not installed.
    """
    chosen = os.environ.get(VARIABLE, "")
    installed = importlib.util.find_spec("pyfftw") is not None
    if not chosen:
        return "fftw" if installed and processor.vendor() in ("amd", "arm") else "torch"
    if chosen not in ENGINES:
        raise ValueError(f"{VARIABLE}: expected {' or '.join(ENGINES)}, got {chosen!r}; correct or unset it")
    if chosen == "fftw" and not installed:
        raise ValueError(f"{VARIABLE}: fftw needs pyfftw, which is not installed; pip install pyfftw")
    return chosen


def fft2(image: Complex[Tensor, "y x"], out: Tensor | None = None) -> Complex[Tensor, "ky kx"]:
    """`torch.fft.fft2` of one image on a CPU.

    Args:
        image: what to transform.
        out: contiguous, where FFTW puts the result: arrays that stay are in the cache. torch, which would
            copy, makes a tensor of its own.
    """
    made = _plans(image)
    return torch.fft.fft2(image) if made is None else _executed(made.forward, image, out)


def ifft2(
    spectrum: Complex[Tensor, "ky kx"], out: Tensor | None = None, *, scaled: bool = True
) -> Complex[Tensor, "y x"]:
    """Its inverse, likewise; without `scaled` times the number of pixels, which saves a pass over them."""
    made = _plans(spectrum)
    if made is None:
        return torch.fft.ifft2(spectrum, norm="backward" if scaled else "forward")
    image = _executed(made.inverse, spectrum, out)
    return image.mul_(1.0 / image.numel()) if scaled else image


def _plans(array: Tensor) -> plans.Plans | None:
    """FFTW's plans, of this thread's own; nothing where torch is to transform."""
    key = (array.shape[0], array.shape[1], array.dtype)
    known: dict[tuple[int, int, torch.dtype], plans.Plans | None] = vars(_made).setdefault("plans", {})
    if key not in known:
        known[key] = _new_plans(*key)
    return known[key]


def _new_plans(height: int, width: int, dtype: torch.dtype) -> plans.Plans | None:
    if engine() == "torch" or max(_largest_factor(height), _largest_factor(width)) > LARGEST_FACTOR:
        return None
    try:
        return plans.plans_of((height, width), NAMES[dtype])
    except OSError as error:
        warnings.warn(
            f"FFTW's plan for {height}×{width} cannot be kept ({error}), and without that runs would differ: "
            "torch's FFT takes its place. Results of other jobs, by FFTW, differ in rounding. Let "
            f"XDG_CACHE_HOME name a folder that can be written, or set {VARIABLE}=torch",
            RuntimeWarning,
            stacklevel=4,
        )
        return None


def _largest_factor(size: int) -> int:
    largest, factor = 1, 2
    while size > 1:
        if size % factor:
            factor += 1
        else:
            size, largest = size // factor, factor
    return largest


def _executed(plan: plans.Plan, array: Tensor, out: Tensor | None) -> Tensor:
    array = array.resolve_conj().contiguous()
    if array.data_ptr() % ALIGNMENT:
        array = array.clone()
    if out is None:
        out = torch.empty_like(array)
    plan.execute(array, out)
    return out
