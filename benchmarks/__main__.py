"""`python -m benchmarks [NAME [OPTIONS]]`: run all benchmarks, or one with its options."""

import importlib
import sys

import torch

NAMES = ("reconstruction", "memory", "training", "attack", "conversion", "untrained", "multicoil")


def main(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    chosen = arguments[:1] or NAMES
    for name in chosen:
        if name not in NAMES:
            raise SystemExit(f"benchmarks: expected one of {', '.join(NAMES)}, got {name!r}")
        importlib.import_module(f"benchmarks.{name}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
