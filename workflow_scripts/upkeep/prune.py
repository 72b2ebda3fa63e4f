"""`python -m workflow_scripts.upkeep.prune [--configfile FILE] [--dry-run]`: remove what no job uses.

That is units which no job lists, and receipts of results that are gone.
"""

import itertools
import sys
import time
from pathlib import Path

from mrilib.store.units import read_index
from workflow_scripts.kept import unit_index
from workflow_scripts.receipts import folder as receipts_of
from workflow_scripts.receipts import path_of
from workflow_scripts.restore import entries
from workflow_scripts.runlock import RunInUse, held
from workflow_scripts.upkeep.plan import Plan, arguments, counted, opened

UNITS = ("[!.]*.h5", "training-*.pt", "tuning-*.pt", "fit-*.pt")
# Left by killed jobs; a younger one may be of a job that outlived its scheduler.
PARTIAL, PARTIAL_AGE = ".*.partial.*", 24 * 3600.0


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    options = parser.parse_args()
    with opened(options.configfile) as plan:
        if options.dry_run:
            return prune(plan, dry_run=True)
        try:
            with held(plan.run):
                return prune(plan)
        except RunInUse as error:
            sys.exit(str(error))


def prune(plan: Plan, *, dry_run: bool = False) -> int:
    """Remove units that no job of the plan lists, lists of jobs that are no more, receipts without a result.

    A job lists its units before it writes them, and a killed one keeps what it had listed before.
    """
    plan.build()
    folder = plan.run / "units"
    indices = {unit_index(plan.run, Path(job.log[0])): job for job in plan.jobs if job.params.get("units")}
    unlisted = [
        job.output[0]
        for index, job in indices.items()
        if not index.exists() and all(Path(file).exists() for file in job.output)
    ]
    if unlisted:
        print(
            f"nothing removed: {counted(len(unlisted), 'job')} did not list which units are theirs, "
            f"like that of {unlisted[0]}; run snakemake first"
        )
        return 1
    named = set(itertools.chain.from_iterable(map(read_index, indices)))
    units = [path for pattern in UNITS for path in folder.glob(pattern)]
    old = time.time() - PARTIAL_AGE
    stale = [path for path in units if path.name not in named]
    partial = [path for path in folder.glob(PARTIAL) if path.stat().st_mtime < old]
    size = sum(path.stat().st_size for path in stale + partial)
    lists = [path for path in (folder / "index").rglob("*.txt") if path not in indices]
    receipts = [
        Path(entry.path) for name, entry in entries(receipts_of(plan.run)) if not Path(path_of(name)).exists()
    ]
    if not dry_run:
        for path in stale + partial + lists + receipts:
            path.unlink()
    also = f", and {counted(len(receipts), 'receipt')} of results that are gone" if receipts else ""
    done = "would be removed" if dry_run else "removed"
    print(
        f"{folder}: {counted(len(stale) + len(partial), 'file')}, {size / 1e6:.1f} MB {done}{also}; "
        f"{counted(len(units) - len(stale), 'unit')} kept"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
