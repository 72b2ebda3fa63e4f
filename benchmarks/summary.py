"""Summary of what the benchmarks left: ratios with machine and versions, and one figure of the solvers.

Reads results/benchmarks/*.json and writes summary.md, summary.pdf and summary.png beside them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.problems import RESULTS, markdown
from benchmarks.tv_solvers import Averaged
from mrilib.report import style
from mrilib.store.atomic import write_text

# Inches: 17 cm.
WIDTH = 6.7
SECONDS = "seconds to 0.0001"
WHAT_RUNS = (
    "The reference attack (about 5 minutes a row, `attack --reference` or `--fresh`), `conversion`, "
    "`untrained`, `multicoil` and `gpu` run only when named. What stands here of the reference attack was "
    "kept from its last run."
)
# Parts in their order.
HEADINGS = {
    "tv": "Total variation: processor seconds to a true relative gap",
    "tv-certified": "Total variation, ours: to a certified gap",
    "fft": "A step of total variation over its FFT pair, in milliseconds",
    "attack": "Localized attack, all places, against the reference",
    "attack-single": "Localized attack at the middle place alone, against the reference's best of all",
    "memory": "Memory of the attack",
    "training": "Phantoms and training",
    "gpu": "A step of a batch on a GPU",
    "gpu-attack": "Localized attack on total variation on a GPU, at the scale of P1's Table 1",
    "startup": "Start-up",
    "startup-disk": "Results of the demo on the disk",
}


def figure(rows: list[dict[str, Any]]) -> Figure:
    """Seconds to a true gap of 1e-4 by implementation, one panel a coupling; ours is filled."""
    timed = [row for row in rows if row.get(SECONDS)]
    couplings = list(dict.fromkeys(row["coupling"] for row in timed))
    groups = [[row for row in timed if row["coupling"] == coupling] for coupling in couplings]
    with style.printed():
        drawn = Figure(
            figsize=(WIDTH, 0.55 + sum(0.32 + 0.21 * len(group) for group in groups)), layout="constrained"
        )
        panels = drawn.subplots(
            len(groups),
            1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [0.6 + len(group) for group in groups]},
        )[:, 0]
        for panel, coupling, group in zip(panels, couplings, groups, strict=True):
            for height, row in enumerate(reversed(group)):
                own = row["version"] == "this repository"
                colour = style.METHOD_COLORS["tv"] if own else style.REFERENCE
                filled = row["implementation"] == Averaged.name
                panel.plot(
                    row[SECONDS],
                    height,
                    "o",
                    color=colour,
                    markerfacecolor=colour if filled else "white",
                    markersize=5.5,
                )
                panel.annotate(
                    f"{style.number(row[SECONDS], 2)} s" + ("" if filled else f"  ({_times(row)}×)"),
                    (row[SECONDS], height),
                    xytext=(7, 0),
                    textcoords="offset points",
                    va="center",
                )
            panel.set_yticks(range(len(group)), [row["implementation"] for row in reversed(group)])
            panel.set_ylim(-0.7, len(group) - 0.3)
            panel.set_title(f"coupling {coupling}", loc="left")
            panel.tick_params(axis="y", length=0)
            panel.set_xscale("log")
            panel.xaxis.set_major_formatter("{x:g}")
            panel.grid(axis="y", visible=False)
        values = [row[SECONDS] for row in timed]
        panels[-1].set_xlim(min(values) / 1.5, max(values) * 3.0)
        panels[-1].set_xlabel("seconds on one core to a true relative gap of 1e-4 (in brackets: over ours)")
        return style.settle(drawn)


def _times(row: dict[str, Any]) -> str:
    return style.number(row["ratio to ours"], 2)


def single_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each phantom and level: fewest steps that reach the reference, and the ratio after the most."""
    cells = dict.fromkeys((row["phantom"], row["level"]) for row in rows)
    found = []
    for phantom, level in cells:
        own = [row for row in rows if (row["phantom"], row["level"]) == (phantom, level)]
        enough = [row["search steps"] for row in own if row["ratio"] >= 1.0]
        most = max(own, key=lambda row: row["search steps"])
        found.append(
            {
                "phantom": phantom,
                "level": level,
                "steps to ratio 1": int(min(enough)) if enough else "none",
                "most steps": int(most["search steps"]),
                "fraction of the reference's": f"1/{most['search ratio']:.0f}",
                "ratio then": most["ratio"],
            }
        )
    return found


def text(records: dict[str, dict[str, Any]]) -> str:
    """The summary of the records that there are."""
    latest = next(iter(records.values()))["machine"]
    parts = ["# Benchmarks", ", ".join(f"{key} {value}" for key, value in latest.items() if value) + "."]
    parts.append(WHAT_RUNS)
    for name, heading in HEADINGS.items():
        if name in records:
            rows = records[name]["rows"]
            parts += [f"## {heading}", markdown(single_place(rows) if name == "attack-single" else rows)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def main(arguments: list[str]) -> None:
    argparse.ArgumentParser(prog="python -m benchmarks summary", description=__doc__).parse_args(arguments)
    write(RESULTS)


def write(folder: Path) -> None:
    """Write the summary of `folder`, and the figure where there is something to draw."""
    present = [name for name in HEADINGS if (folder / f"{name}.json").is_file()]
    records = {name: json.loads((folder / f"{name}.json").read_text()) for name in present}
    if not records:
        raise SystemExit(f"summary: nothing in {folder}; run python -m benchmarks first")
    write_text(folder / "summary.md", text(records))
    if "tv" in records:
        style.save(figure(records["tv"]["rows"]), folder / "summary")
    print((folder / "summary.md").read_text(), flush=True)
