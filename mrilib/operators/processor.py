"""The processor of the machine: who made it, and what plans for it depend on."""

import functools
import platform
from pathlib import Path

INFORMATION = Path("/proc/cpuinfo")
# What tells one model from another, on x86 and on ARM; frequencies and addresses change from start to start.
MODEL = (
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
)
# Vector instructions, which a virtual machine may hide.
FEATURES, VECTORS = ("flags", "Features"), ("sse", "avx", "fma", "asimd", "neon", "sve")
AMD = ("AuthenticAMD", "HygonGenuine")


@functools.cache
def _first() -> dict[str, str]:
    """What the system says of the first processor; nothing where it has no such file."""
    if not INFORMATION.is_file():
        return {}
    block = INFORMATION.read_text(encoding="utf-8").partition("\n\n")[0]
    pairs = (line.partition(":") for line in block.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def vendor() -> str:
    """`"intel"`, `"amd"`, `"arm"`, or `"other"`."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "arm"
    named = _first().get("vendor_id", "")
    if named in AMD:
        return "amd"
    return "intel" if named == "GenuineIntel" else "other"


def name() -> str:
    """The model's name for people."""
    return _first().get("model name") or platform.processor() or platform.machine()


def identity() -> str:
    """All that tells models of processors apart, with the vector instructions that they offer."""
    known = _first()
    parts = [platform.machine(), *(f"{key} {known[key]}" for key in MODEL if key in known)]
    for key in FEATURES:
        parts += sorted(flag for flag in known.get(key, "").split() if flag.startswith(VECTORS))
    return "; ".join(parts)
