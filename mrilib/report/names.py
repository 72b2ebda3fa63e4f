"""What methods, perturbations and masks are called in tables and figures."""

import re
from collections.abc import Mapping

METHOD_LABELS = {
    "tikhonov": "Tikhonov",
    "tv": "TV",
    "l1-wavelet": "ℓ1 wavelet",
    "l1-dct": "ℓ1 cosine",
    "l1-fourier": "ℓ1 Fourier",
    "tira": "Tira",
    "tirafl": "TiraFL",
    "unet": "U-net",
    "itnet": "ItNet",
    "varnet": "VarNet",
    "convdecoder": "ConvDecoder",
    "deepdecoder": "Deep Decoder",
}
KIND_LABELS = {
    "global": "global attack",
    "peak": "localized attack (one pixel)",
    "disk": "localized attack (disk)",
    "spike": "spike (closed form)",
    "gaussian": "Gaussian noise",
    "clean": "no noise",
}


def method_label(method: str, labels: Mapping[str, str] | None = None) -> str:
    """Name of a method as readers know it; a user's own name stays as it is.

    Args:
        method: its name in the config.
        labels: names of this run, such as `Tira (reduced)`; they go before `METHOD_LABELS`.
    """
    return (METHOD_LABELS | dict(labels or {})).get(method, method)


def kind_label(kind: str) -> str:
    """Name of a kind of perturbation as readers know it."""
    return KIND_LABELS.get(kind, kind)


def mask_label(mask: object) -> str:
    """A mask by its lines, given as their number or by a name such as `radial-40`; other names stay."""
    lines = re.fullmatch(r"(?:radial-)?(\d+)", str(mask))
    return f"{lines[1]} lines" if lines else str(mask)
