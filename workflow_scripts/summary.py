"""`python -m workflow_scripts.summary [results/RUN] [--configfile FILE]`: tables, costs, and what is missing.

Writes `tables/costs.csv` and `.md`. Exits with 1 and a list if a unit of work failed.
"""

import collections
import sys
from pathlib import Path

import pandas as pd

from mrilib.store.atomic import write_text
from workflow_scripts.costs import Job, as_markdown, benchmarked, finished_jobs, gather
from workflow_scripts.plan import arguments, opened

NOTE = (
    "Jobs; those of them without output; units on the disk; units that failed; seconds of all jobs, the "
    "median, the longest; the largest memory. Seconds and memory are those of each job's last run."
)
UNKNOWN = "What is missing is not known without the run's `--configfile`."


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
                asked = [_as_job(folder, job) for job in plan.jobs]
    if not any((folder / "scores").glob("*/*.csv")):
        print(f"{folder}: no scores; run snakemake first", file=sys.stderr)
        return 2
    scores = pd.concat([_read_scores(path) for path in sorted((folder / "scores").glob("*/*.csv"))])
    studies = [_read_scores(path) for path in sorted((folder / "studies").glob("*/scores.csv"))]
    _write_costs(folder, asked, pd.concat([scores, *studies]))
    _print_tables(folder)
    if asked is None:
        print(UNKNOWN)
    else:
        missing = collections.Counter(f"{job.stage} {job.method}".strip() for job in asked if not job.done)
        of = ": " + ", ".join(f"{stage} {number}" for stage, number in missing.items()) if missing else ""
        print(f"{len(asked) - missing.total()} of {len(asked)} jobs done, {missing.total()} missing{of}")
    failed = scores[scores["failed"] != ""]
    print(f"{len(scores) - len(failed)} of {len(scores)} perturbations computed, {len(failed)} failed")
    for row in failed.to_dict("records"):
        place = ", ".join(
            str(row[key]) for key in ("source", "position", "method", "mask", "attack", "level")
        )
        print(f"  failed: {place}: {row['failed']}")
    return 1 if len(failed) else 0


def _as_job(folder, job) -> Job:
    """A job of Snakemake's."""
    done = all(Path(file).exists() for file in job.output)
    if job.benchmark:
        return benchmarked(folder, Path(job.benchmark), done=done)
    return Job(job.rule.name, job.wildcards.get("method", ""), "", done)


def _read_scores(path: Path) -> pd.DataFrame:
    """Scores with the stage that computed each."""
    scores = pd.read_csv(path, dtype={"failed": str}).fillna({"failed": ""})
    if path.name == "scores.csv":
        return scores.assign(stage=f"studies/{path.parent.name}")
    own = scores["made_for"] == scores["method"]
    return scores.assign(stage=own.map({True: "attacks", False: "transfer"}))


def _write_costs(folder: Path, asked: list[Job] | None, scores: pd.DataFrame) -> None:
    jobs = finished_jobs(folder) if asked is None else [job for job in asked if job.name or not job.done]
    costs = gather(folder, jobs, scores[scores["failed"] != ""])
    note = NOTE if asked is not None else f"{NOTE} {UNKNOWN}"
    write_text(folder / "tables" / "costs.csv", costs.to_csv(index=False))
    write_text(folder / "tables" / "costs.md", f"**Costs**\n\n{as_markdown(costs)}\n\n{note}\n")


def _print_tables(folder: Path) -> None:
    tables = sorted((folder / "tables").glob("*.md"))
    for table in tables:
        print(table.read_text(encoding="utf-8"))
    print("tables:  " + ", ".join(str(path) for path in tables) + " (and .csv, .tex)")
    figures = sorted((folder / "figures").glob("*.pdf"))
    print("figures: " + ", ".join(str(path) for path in figures) + " (and .png)")
    print(f"records: {folder / 'records'}")


if __name__ == "__main__":
    raise SystemExit(main())
