from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# Snakemake merges config files; no key of the demo may survive in a run with another file.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "rules/paths.smk"
include: "rules/plan/data.smk"
include: "rules/plan/measurements.smk"
include: "rules/plan/training.smk"
include: "rules/plan/reconstruct.smk"
include: "rules/plan/attacks.smk"
include: "rules/plan/theory.smk"
include: "rules/plan/report.smk"
include: "rules/plan/boxes.smk"
include: "rules/plan/features.smk"
include: "rules/plan/figures.smk"
include: "rules/plan/experiments.smk"
include: "rules/data.smk"
include: "rules/measurements.smk"
include: "rules/tuning.smk"
include: "rules/training.smk"
include: "rules/reconstruct.smk"
include: "rules/attacks.smk"
include: "rules/features.smk"
include: "rules/theory.smk"
include: "rules/report.smk"
include: "rules/boxes.smk"


rule all:
    default_target: True
    input:
        all_outputs(),


# After all rules, for it asks which of them makes a file.
restore_metadata(workflow, RUN)


# Not in dry-runs, nor in the processes of jobs. The lock goes when this process ends; that of a killed one is
# taken over.
onstart:
    lock_run()
    # Jobs read the same files.
    remember(MEMORY)
