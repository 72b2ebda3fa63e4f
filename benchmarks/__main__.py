"""`python -m benchmarks [NAME [OPTIONS]]`: without a name, what takes at most a quarter of an hour in all.

{table}

Everything runs on one core with one thread. Tables are left in results/benchmarks, and a run without a name
ends with their summary.
"""

import importlib
import os
import sys

# Name: whether it runs without being named, and what it is.
NAMES = {
    "tv": (True, "total variation, ours and every installed peer: seconds to a true gap"),
    "fft": (True, "a step of total variation over its FFT pair, with MKL and with FFTW (a minute)"),
    "attack": (
        True,
        "the localized attack, ours and the kept result of the reference (run: --reference)",
    ),
    "effort": (False, "severity of the attack on total variation against its steps (minutes)"),
    "memory": (True, "peak memory of the attack against its steps"),
    "startup": (True, "imports of every job, planning, results on the disk"),
    "training": (True, "phantoms and training samples a second, counted operations"),
    "conversion": (False, "raw volumes: MB/s and memory (about 5 minutes)"),
    "untrained": (False, "decoders: time of a step, three ways (minutes)"),
    "multicoil": (False, "certified multi-coil reconstructions (needs the sample data; long)"),
    "precision": (False, "the gradient search in bfloat16 beside float32 (about 20 minutes)"),
    "study": (
        False,
        "what the attacks of a config cost, in GPU-hours and core-hours (after multicoil attack-scale)",
    ),
    "gpu": (False, "steps on a GPU beside its memory's bound, the TV columns of P1's Table 1 (needs one)"),
    "summary": (True, "the summary of what the others left"),
}


def usage() -> str:
    """The text above with the table of names."""
    lines = [
        f"  {name:<11} {'' if alone else '(only when named) '}{what}" for name, (alone, what) in NAMES.items()
    ]
    return str(__doc__).format(table="\n".join(lines))


def main(arguments: list[str]) -> None:
    if arguments[:1] in (["-h"], ["--help"]):
        print(usage())
        return
    chosen = arguments[:1] or [name for name, (alone, _) in NAMES.items() if alone]
    for name in chosen:
        if name not in NAMES:
            raise SystemExit(f"benchmarks: expected one of {', '.join(NAMES)}, got {name!r}")
    # Before numpy and torch are imported, and for every process that is started.
    os.environ["OMP_NUM_THREADS"] = "1"
    importlib.import_module("torch").set_num_threads(1)
    importlib.import_module("benchmarks.clock").pin()
    for name in chosen:
        importlib.import_module(f"benchmarks.{name}").main(arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
