"""`python -m workflow_scripts.upkeep.accept [--configfile FILE] [--yes] [targets]`.

Results outlive a refactoring.

Results whose code alone has changed since they were made stay as they are, and their units are found again.
Nothing is accepted if something else has changed. Each stage leaves a line in results/RUN/accepted.log.
"""

import collections
import dataclasses
import datetime
import json
import sys
from typing import Any

from mrilib.store.atomic import write_text
from workflow_scripts.kept import accepted_codes, keep_code, read_accepted
from workflow_scripts.receipts import name_of, read_receipt, write_receipt
from workflow_scripts.runlock import RunInUse, held, user
from workflow_scripts.upkeep.plan import Plan, arguments, counted, described, opened


def main() -> int:
    parser = arguments(__doc__, targets=True)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.parse_args()
    with opened(options.configfile, options.targets) as plan:
        try:
            with held(plan.run):
                return accept(plan, ask=not options.yes)
        except RunInUse as error:
            sys.exit(str(error))


def accept(plan: Plan, *, ask: bool) -> int:
    """Make the results of a plan those of the present code; 1 if that cannot be."""
    plan.build(ignore_codes=True)
    others = [job for job in plan.jobs if plan.would_run(job)]
    if others:
        print(f"nothing accepted: {counted(len(others), 'job')} would run for more than a change of code")
        print("\n".join(f"  {line}" for line in described(plan, others)))
        print("run them, or name the files to accept")
        return 1
    stale = {job: change.codes for job in plan.jobs if (change := plan.change(job)).only_codes}
    if not stale:
        print(f"{plan.run}: no code has changed")
        return 0
    print("\n".join(described(plan, list(stale))))
    question = f"keep these results of {plan.run} as those of the present code?"
    if ask and not sys.stdin.isatty():
        sys.exit(f"{question} Say so with --yes (make accept YES=1)")
    if ask and input(f"{question} [y/N] ").strip().lower() != "y":
        return 1
    _log(plan, stale)
    _rename_units(plan, stale)
    for job in stale:
        keep_code(plan.run, dict(job.params.items()))
        _renew_record(plan, job)
    print(f"{counted(len(stale), 'job')} accepted; noted in {plan.run / 'accepted.log'}")
    return 0


def _log(plan: Plan, stale: dict[Any, dict[str, str]]) -> None:
    """One line for each stage and pair of hashes, before anything is changed."""
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    lines: dict[str, int] = collections.Counter()
    for job, codes in stale.items():
        present = job.params.code
        for former in [old for old, new in codes.items() if new == present]:
            modules = plan.modules_changed(job, former)
            words = "not recorded" if modules is None else ", ".join(modules)
            lines[f"{now}\t{user()}\t{job.rule.name}\t{former}\t{present}\t{words}"] += 1
    with (plan.run / "accepted.log").open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\t{counted(number, 'job')}\n" for line, number in lines.items())


def _rename_units(plan: Plan, stale: dict[Any, dict[str, str]]) -> None:
    """Let jobs make the keys of their units with the hash that most of the accepted results had."""
    pairs = collections.Counter(
        pair for job, codes in stale.items() if job.params.get("units") for pair in codes.items()
    )
    accepted = read_accepted(plan.run / "units")
    former = {old: accepted.get(old, old) for old, _ in pairs}
    for (old, new), _ in reversed(pairs.most_common()):
        accepted[new] = former[old]
    kept = {new: old for new, old in accepted.items() if new != old}
    write_text(accepted_codes(plan.run / "units"), json.dumps(kept, indent=1) + "\n")


def _renew_record(plan: Plan, job: Any) -> None:
    """Give Snakemake's records of a job's outputs, and their receipts, the present params.

    Files and their times stay.

    `snakemake --touch` would write the same, but broken off in the middle it leaves files newer than results
    made from them.
    """
    for file in job.output:
        record = plan.persistence.metadata(file)
        record.params = plan.persistence._params(job)
        plan.persistence._write_record(plan.persistence._get_key(file), record)
        receipt = read_receipt(plan.run, name_of(file))
        if receipt is not None:
            renewed = dataclasses.replace(receipt, code=job.params.code, params=record.params)
            write_receipt(plan.run, renewed)


if __name__ == "__main__":
    raise SystemExit(main())
