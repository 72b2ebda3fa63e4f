"""`python -m workflow_scripts.upkeep.why [--configfile FILE] [targets]`: which jobs would run, and why."""

from workflow_scripts.upkeep.plan import arguments, counted, described, opened


def main() -> int:
    options = arguments(__doc__, targets=True).parse_args()
    with opened(options.configfile, options.targets) as plan:
        plan.build()
        jobs = plan.jobs
        waiting = [job for job in jobs if plan.would_run(job)]
        for line in described(plan, waiting):
            print(line)
        print(f"{len(waiting) or 'none'} of {counted(len(jobs), 'job')} of {plan.run} would run")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
