"""`python -m workflow_scripts.upkeep.summary [results/RUN] [--configfile FILE]`.

Tables, costs, and what is missing.

Writes `tables/costs.csv` and `.md`. Exits with 1 and a list if a reconstruction, a perturbation or a study
failed, and with 2 if nothing has run. Volumes that were rejected are no failure: the table of the catalogue
lists them.
"""

import collections
import sys
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from mrilib.experiments.columns import NO_ATTACK
from mrilib.store.atomic import write_text
from mrilib.store.tables import read_table
from workflow_scripts.restore import COSTS
from workflow_scripts.upkeep.costs import Job, as_markdown, finished_jobs, gather, planned
from workflow_scripts.upkeep.plan import arguments, opened

NOTE = (
    "Jobs; those of them without output; units on the disk; units that failed; seconds of all jobs, the "
    "median, the longest; the largest memory. Seconds and memory are those of each job's last run."
)
UNKNOWN = "What is missing is not known without the run's `--configfile`."
# What a row of scores is of.
PLACE = ("source", "position", "mask", "method", "domain", "attack", "made_for", "level")
COLUMNS = [*PLACE, "volume", "slice", "varied", "value", "kind", "failed"]
# Folder of the tables of studies of small features, which call the entry of the config `feature`.
FEATURES, STUDIES = "features", {"feature": "kind"}


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="results/RUN; by default that of the config")
    options = parser.parse_args()
    folder, asked = options.folder, None
    if folder is None or options.configfile or Path("config.yaml").exists():
        with opened(options.configfile) as plan:
            if folder is None or folder.resolve() == plan.run.resolve():
                folder = plan.run
                plan.build()
                asked = [planned(folder, job) for job in plan.jobs]
    # Every job has a log, the first ones too.
    if not any((folder / "logs").rglob("*.log")):
        print(f"{folder}: nothing has run there; run snakemake first", file=sys.stderr)
        return 2
    scores = read_scores(folder)
    _write_costs(folder, asked, scores)
    _print_tables(folder)
    if asked is None:
        print(UNKNOWN)
    else:
        missing = collections.Counter(f"{job.stage} {job.method}".strip() for job in asked if not job.done)
        of = ": " + ", ".join(f"{stage} {number}" for stage, number in missing.items()) if missing else ""
        print(f"{len(asked) - missing.total()} of {len(asked)} jobs done, {missing.total()} missing{of}")
    return _print_failed(scores)


def read_scores(folder: Path) -> pd.DataFrame:
    """The rows of all scores of a run, as text, with the stage that computed each."""
    files = sorted((folder / "scores").rglob("*.csv"))
    rows = [_read(path).pipe(lambda frame: frame.assign(stage=frame.apply(_stage, axis=1))) for path in files]
    rows += [_read(path, STUDIES) for path in sorted((folder / FEATURES).rglob("*.csv"))]
    empty = pd.DataFrame(columns=[*COLUMNS, "stage"], dtype=str)
    return pd.concat([empty, *rows], ignore_index=True)


def _read(path: Path, renamed: Mapping[str, str] | None = None) -> pd.DataFrame:
    """All as text: a method may be called `NA`. Of studies of small features one row an image and study."""
    found = read_table(path, {})
    if renamed is None:
        return found.reindex(columns=COLUMNS, fill_value="")
    found = found.drop(columns=list(renamed.values()), errors="ignore").rename(columns=renamed)
    told = found.reindex(columns=COLUMNS, fill_value="").drop_duplicates()
    return told.assign(stage=FEATURES)


def _stage(row: pd.Series) -> str:
    if row["attack"] == NO_ATTACK:
        return "reconstructions"
    return "attacks" if row["made_for"] in ("", row["method"]) else "transfer"


def _print_failed(scores: pd.DataFrame) -> int:
    """Say how much of what was scored failed, and list it; 1 if something did."""
    stages = {
        "reconstructions": ["reconstructions"],
        "perturbations": ["attacks", "transfer"],
        "studies of small features": [FEATURES],
    }
    for noun, names in stages.items():
        part = scores[scores["stage"].isin(names)]
        if len(part):
            failed = (part["failed"] != "").sum()
            print(f"{len(part) - failed} of {len(part)} {noun} computed, {failed} failed")
    failed = scores[scores["failed"] != ""]
    for row in failed.to_dict("records"):
        what = row["attack"] or row["kind"]
        if row["made_for"] not in ("", row["method"]):
            what += f" made for {row['made_for']}"
        domain = f" of {row['domain']}" if row["domain"] else ""
        level = f", level {row['level']}" if row["level"] else ""
        level += f", {row['varied']} {row['value']}" if row["varied"] else ""
        image = f"{row['source']} {row['position']}"
        image += (
            f" (slice {float(row['slice']):g} of {row['volume']})" if row["volume"] and row["slice"] else ""
        )
        place = f"{image}, {row['mask']}, {row['method']}{domain}, {what}{level}"
        print(f"  failed: {place}: {row['failed']}")
    return 1 if len(failed) else 0


def _write_costs(folder: Path, asked: list[Job] | None, scores: pd.DataFrame) -> None:
    jobs = finished_jobs(folder) if asked is None else [job for job in asked if job.name or not job.done]
    costs = gather(folder, jobs, scores[scores["failed"] != ""])
    note = NOTE if asked is not None else f"{NOTE} {UNKNOWN}"
    csv, markdown = (folder / name for name in COSTS)
    write_text(csv, costs.to_csv(index=False))
    write_text(markdown, f"**Costs**\n\n{as_markdown(costs)}\n\n{note}\n")


def _print_tables(folder: Path) -> None:
    tables = sorted((folder / "tables").glob("*.md"))
    for table in tables:
        print(table.read_text(encoding="utf-8"))
    print("tables:  " + ", ".join(str(path) for path in tables) + " (and .csv, .tex)")
    figures = sorted((folder / "figures").glob("*.pdf"))
    if figures:
        print("figures: " + ", ".join(str(path) for path in figures) + " (and .png)")
    if (folder / "records").is_dir():
        print(f"records: {folder / 'records'}")


if __name__ == "__main__":
    raise SystemExit(main())
