"""`python -m workflow_scripts.summary results/RUN`: the tables, where things are, and what is missing.

Exits with 1 and a list if a unit of work failed.
"""

import sys
from pathlib import Path

import pandas as pd


def main(folder: Path) -> int:
    tables = sorted((folder / "tables").glob("*.md"))
    if not tables:
        print(f"{folder}: no tables; run snakemake first", file=sys.stderr)
        return 2
    for table in tables:
        print(table.read_text(encoding="utf-8"))
    print("tables:  " + ", ".join(str(path) for path in tables) + " (and .csv, .tex)")
    print(
        "figures: "
        + ", ".join(str(path) for path in sorted((folder / "figures").glob("*.pdf")))
        + " (and .png)"
    )
    print(f"records: {folder / 'records'}")
    scores = pd.concat(
        [pd.read_csv(path, dtype={"failed": str}) for path in sorted((folder / "scores").glob("*/*.csv"))]
    )
    failed = scores[scores["failed"].fillna("") != ""]
    print(f"{len(scores) - len(failed)} of {len(scores)} perturbations computed, {len(failed)} failed")
    for row in failed.to_dict("records"):
        place = ", ".join(
            str(row[key]) for key in ("source", "position", "method", "mask", "attack", "level")
        )
        print(f"  failed: {place}: {row['failed']}")
    return 1 if len(failed) else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
